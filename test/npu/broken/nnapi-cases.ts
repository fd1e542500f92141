/** One graph for each rule of the NNAPI table. */
import {
  type BrokenCase,
  bias,
  changed,
  data,
  type QuantizedGraph,
  raw,
  requantized,
  weight,
} from './case.js';

const at = (name: string, legal: string, ...changes: Parameters<typeof changed>[2][]): BrokenCase =>
  changed(`nnapi/${name}`, legal, ...changes);
const around = (name: string, legal: QuantizedGraph, change: Partial<QuantizedGraph>): BrokenCase =>
  requantized(`nnapi/${name}`, legal, change);

const RELU = '(float[1,4,8,8] x) => (float[] y) { [n] y = Relu (x) }';
const CONV =
  '(float[1,4,8,8] x) => (float[] y) <float[4,2,3,3] w = N, float[4] b = N> { [n] y = Conv <group = 2> (x, w, b) }';
const MAX = '(float[1,4,8,8] x) => (float[] y) { [n] y = MaxPool <kernel_shape = [2, 2]> (x) }';
const MEAN = MAX.replace('MaxPool', 'AveragePool');
const GEMM = '(float[2,8] x) => (float[] y) <float[8,4] w = N, float[4] b = N> { [n] y = Gemm (x, w, b) }';
const PRODUCT = '(float[2,8] x) => (float[] y) <float[8,4] w = N> { [n] y = MatMul (x, w) }';
const BATCH =
  '(float[1,4,8,8] x) => (float[] y) <float[4] s = N, float[4] b = N, float[4] m = N, float[4] v = {1, 1, 1, 1}> { [n] y = BatchNormalization (x, s, b, m, v) }';
const CLIP =
  '(float[1,4,8,8] x) => (float[] y) <float low = {0}, float high = {6}> { [n] y = Clip (x, low, high) }';
const MEANS = '(float[1,4,8] x) => (float[] y) <int64[1] axes = {1}> { [n] y = ReduceMean (x, axes) }';
const DEPTH = '(float[1,4,8,8] x) => (float[] y) { [n] y = DepthToSpace <blocksize = 2> (x) }';
const GATHER = '(float[4,8] x) => (float[] y) <int64[2] i = {0, 2}> { [n] y = Gather (x, i) }';
const PAD =
  '(float[1,4,8,8] x) => (float[] y) <int64[8] p = {0, 0, 1, 1, 0, 0, 1, 1}> { [n] y = Pad (x, p) }';
const RESHAPE = '(float[1,4,8] x) => (float[] y) <int64[2] s = {4, 8}> { [n] y = Reshape (x, s) }';
const RESIZE =
  '(float[1,4,8,8] x) => (float[] y) <float[4] s = {1, 1, 2, 2}> { [n] y = Resize <mode = "linear"> (x, "", s) }';
const SLICE =
  '(float[1,4,8] x) => (float[] y) <int64[1] from = {1}, int64[1] to = {3}, int64[1] axes = {1}> { [n] y = Slice (x, from, to, axes) }';
const SPLIT = '(float[4,8] x) => (float[] y, float[] z) <int64[2] s = {2, 2}> { [n] y, z = Split (x, s) }';
const SQUEEZE = '(float[1,4,8] x) => (float[] y) <int64[1] axes = {0}> { [n] y = Squeeze (x, axes) }';
const BYTES =
  '(float[1,4,8,8] x) => (float[] y) <float s = {0.1}, uint8 z = {3}> { [q] a = QuantizeLinear (x, s, z) [n] b = Transpose (a) [d] y = DequantizeLinear (b, s, z) }';
const LINEAR =
  '(uint8[2,8] x) => (uint8[] y) <float s = {0.1}, uint8 z = {3}> { [n] y = com.microsoft.QLinearSigmoid (x, s, z, s, z) }';

const convolution: QuantizedGraph = {
  node: 'f = Conv <pads = [1, 1, 1, 1]> (a, w, b)',
  reads: {
    a: data('1,4,8,8'),
    w: weight('4,4,3,3', { scales: 4, attributes: '<axis = 0>' }),
    b: bias('4', { scales: 4, attributes: '<axis = 0>' }),
  },
  gives: { f: {} },
};
const sum: QuantizedGraph = {
  node: 'f = Add (a, b)',
  reads: { a: data('2,8'), b: data('2,8') },
  gives: { f: {} },
};
const pool: QuantizedGraph = {
  node: 'f = AveragePool <kernel_shape = [2, 2]> (a)',
  reads: { a: data('1,4,8,8') },
  gives: { f: {} },
};
const softmax: QuantizedGraph = {
  node: 'f = Softmax <axis = 1> (a)',
  reads: { a: data('2,8') },
  gives: { f: { scale: '0.00390625', zero: '0' } },
};
const signed = { type: 'int8', zero: '0' };

export const nnapiCases: readonly BrokenCase[] = [
  at('operator', RELU, ['Relu', 'Erf']),
  around('qdq-unit', convolution, {
    gives: { f: {} },
    behind: '[late] more = Relu (f) [end] z = Erf (more)',
  }),
  at('static-shapes', RELU, ['[1,4', '[N,4']),
  at('rank', GATHER, ['[4,8]', '[4,8,1,1,1]']),
  around('quantized-units', sum, { node: 'f = Sub (a, b)' }),
  at('float-data', RELU, ['(float[1', '(int32[1'], ['(float[]', '(int32[]']),
  at(
    'integers-made-inside',
    BYTES,
    ['(float[1,4,8,8] x)', '(uint8[1,4,8,8] x)'],
    ['[q] a = QuantizeLinear (x, s, z)', ''],
    ['Transpose (a)', 'Transpose (x)'],
  ),
  around('uint8-activations', sum, {
    reads: { a: data('2,8', signed), b: data('2,8', signed) },
    gives: { f: signed },
  }),
  around('uint8-quantizers', sum, {
    reads: { a: data('2,8', signed), b: data('2,8', signed) },
    gives: { f: signed },
  }),
  around('byte-weights', convolution, { reads: { w: weight('4,4,3,3', { type: 'int16' }), b: bias('4') } }),
  around('constant-scales', sum, { gives: { f: { computed: true } } }),
  around('one-scale', convolution, {
    reads: { w: weight('4,4,3,3', { type: 'uint8', scales: 4, attributes: '<axis = 0>' }) },
  }),
  around('symmetric-weights', convolution, {
    reads: { w: weight('4,4,3,3', { zero: '1', scales: 4, attributes: '<axis = 0>' }) },
  }),
  at('qlinear-types', LINEAR, ['(uint8[2', '(int8[2'], ['(uint8[]', '(int8[]'], ['uint8 z', 'int8 z']),
  around('average-pool-grid', pool, { gives: { f: { scale: '0.2' } } }),
  around('softmax-grid', softmax, { gives: { f: { scale: '0.01', zero: '0' } } }),
  at('conv-constant', CONV, ['[1,4,8,8] x', '[1,4,8,8] x, float[4,2,3,3] w'], ['float[4,2,3,3] w = N, ', '']),
  at('conv-rank', CONV, ['[1,4,8,8]', '[1,4,8]'], ['[4,2,3,3]', '[4,2,3]']),
  at('conv-dilations', CONV, ['group = 2', 'group = 2, dilations = [2, 2]']),
  around('conv-bias', convolution, {
    node: 'f = Conv <pads = [1, 1, 1, 1]> (a, w, b)',
    reads: { b: raw('int32[4] b_q') },
    values: 'float[4] b_s = {0.01, 0.01, 0.01, 0.01}',
    before: '[d_b] b = DequantizeLinear <axis = 0> (b_q, b_s)',
  }),
  at('pool-rank', MAX, ['[1,4,8,8]', '[1,4,8]'], ['[2, 2]', '[2]']),
  at('pool-padding', MEAN, ['kernel_shape', 'count_include_pad = 1, kernel_shape']),
  at('pool-ceiling', MAX, ['kernel_shape', 'ceil_mode = 1, kernel_shape']),
  at('pool-dilations', MAX, ['kernel_shape', 'dilations = [2, 2], kernel_shape']),
  at('pool-indices', MAX, ['(float[] y)', '(float[] y, int64[] i)'], ['y = Max', 'y, i = Max']),
  at('gemm-rank', PRODUCT, ['[2,8]', '[3,2,8]']),
  at('gemm-constant', GEMM, ['[2,8] x', '[2,8] x, float[8,4] w'], ['float[8,4] w = N, ', '']),
  at('gemm-plain', GEMM, ['Gemm', 'Gemm <alpha = 0.5>']),
  at('gemm-bias', GEMM, ['float[4] b', 'float[1] b']),
  at(
    'batch-normalization-constant',
    BATCH,
    ['[1,4,8,8] x', '[1,4,8,8] x, float[4] s'],
    ['float[4] s = N, ', ''],
  ),
  at('lrn-rank', '(float[1,4,8,8] x) => (float[] y) { [n] y = LRN <size = 3> (x) }', [
    '[1,4,8,8]',
    '[1,4,8]',
  ]),
  at('clip-bounds', CLIP, ['high = {6}', 'high = {7}']),
  at('extremes-of-two', '(float[4] x) => (float[] y) { [n] y = Max (x, x) }', ['(x, x)', '(x, x, x)']),
  at('pow-types', '(float[4] x) => (float[] y) <float e = {2}> { [n] y = Pow (x, e) }', [
    'float e',
    'int32 e',
  ]),
  at('reduce-axes', MEANS, ['[1,4,8] x', '[1,4,8] x, int64[1] axes'], ['int64[1] axes = {1}', '']),
  at(
    'cast-types',
    '(float[4] x) => (int32[] y) { [n] y = Cast <to = 6> (x) }',
    ['int32[]', 'int64[]'],
    ['to = 6', 'to = 7'],
  ),
  at('depth-to-space', DEPTH, ['blocksize', 'mode = "CRD", blocksize']),
  at('gather-index', GATHER, ['[4,8] x', '[4,8] x, int64[2] i'], ['int64[2] i = {0, 2}', '']),
  at('not-empty', PAD, ['[1,4', '[0,4']),
  at('pad-constant', PAD, ['Pad', 'Pad <mode = "edge">']),
  at('reshape-constant', RESHAPE, ['[1,4,8] x', '[1,4,8] x, int64[2] s'], ['int64[2] s = {4, 8}', '']),
  at(
    'resize-rank',
    RESIZE,
    ['[1,4,8,8]', '[4,8,8]'],
    ['float[4] s = {1, 1, 2, 2}', 'float[3] s = {1, 2, 2}'],
  ),
  at('resize-mode', RESIZE, ['"linear"', '"cubic"']),
  at('resize-coordinates', RESIZE, ['"linear"', '"nearest"']),
  at('resize-axes', RESIZE, ['{1, 1, 2', '{1, 2, 2']),
  at('resize-plain', RESIZE, ['mode =', 'exclude_outside = 1, mode =']),
  at('slice-constant', SLICE, ['[1,4,8] x', '[1,4,8] x, int64[1] from'], ['int64[1] from = {1}, ', '']),
  at('split-even', SPLIT, ['{2, 2}', '{1, 3}']),
  at('squeeze-constant', SQUEEZE, ['[1,4,8] x', '[1,4,8] x, int64[1] axes'], ['int64[1] axes = {0}', '']),
];
