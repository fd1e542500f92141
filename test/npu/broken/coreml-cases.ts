/** One graph for each rule of the Core ML table. */
import { type BrokenCase, changed } from './case.js';

const at = (name: string, legal: string, ...changes: Parameters<typeof changed>[2][]): BrokenCase =>
  changed(`coreml/${name}`, legal, ...changes);

const RELU = '(float[1,4,8,8] x) => (float[] y) { [n] y = Relu (x) }';
const CONV =
  '(float[1,4,8,8] x) => (float[] y) <float[4,4,3,3] w = N, float[4] b = N> { [n] y = Conv <pads = [1, 1, 1, 1]> (x, w, b) }';
const UP =
  '(float[1,4,8,8] x) => (float[] y) <float[4,4,3,3] w = N, float[4] b = N> { [n] y = ConvTranspose <strides = [2, 2]> (x, w, b) }';
const POOL = '(float[1,4,8,8] x) => (float[] y) { [n] y = MaxPool <kernel_shape = [2, 2]> (x) }';
const GEMM = '(float[2,8] x) => (float[] y) <float[8,4] w = N, float[4] b = N> { [n] y = Gemm (x, w, b) }';
const BATCH =
  '(float[1,4,8,8] x) => (float[] y) <float[4] s = N, float[4] b = N, float[4] m = N, float[4] v = {1, 1, 1, 1}> { [n] y = BatchNormalization (x, s, b, m, v) }';
const NORM =
  '(float[1,4,8] x) => (float[] y) <float[8] s = N, float[8] b = N> { [n] y = LayerNormalization (x, s, b) }';
const CLIP =
  '(float[1,4,8,8] x) => (float[] y) <float low = {0}, float high = {6}> { [n] y = Clip (x, low, high) }';
const PRELU = '(float[1,4,8,8] x) => (float[] y) <float[4,1,1] s = N> { [n] y = PRelu (x, s) }';
const SUM = '(float[1,4,8] x) => (float[] y) <int64[1] axes = {1}> { [n] y = ReduceSum (x, axes) }';
const AND = '(float[4] x) => (bool[] y) { [a] p = Cast <to = 9> (x) [n] y = And (p, p) }';
const GATHER = '(float[4,8] x) => (float[] y) <int64[2] i = {0, 2}> { [n] y = Gather (x, i) }';
const GATHER_ND = '(float[4,8] x) => (float[] y) <int64[2,1] i = {0, 2}> { [n] y = GatherND (x, i) }';
const GRID =
  '(float[1,2,8,8] x, float[1,4,4,2] g) => (float[] y) { [n] y = GridSample <mode = "linear", padding_mode = "zeros"> (x, g) }';
const PAD =
  '(float[1,4,8,8] x) => (float[] y) <int64[8] p = {0, 0, 1, 1, 0, 0, 1, 1}> { [n] y = Pad (x, p) }';
const RESHAPE = '(float[1,4,8] x) => (float[] y) <int64[2] s = {4, 8}> { [n] y = Reshape (x, s) }';
/** Shape of fixed sizes is computed while the model loads. */
const SHAPE = '(float[2,4] x) => (int64[] y, float[] z) { [n] y = Shape (x) [r] z = Relu (x) }';
const SLICE =
  '(float[1,4,8] x) => (float[] y) <int64[1] from = {1}, int64[1] to = {3}, int64[1] axes = {1}> { [n] y = Slice (x, from, to, axes) }';
const SPLIT = '(float[4,8] x) => (float[] y, float[] z) <int64[2] s = {1, 3}> { [n] y, z = Split (x, s) }';
const SQUEEZE = '(float[1,4,8] x) => (float[] y) <int64[1] axes = {0}> { [n] y = Squeeze (x, axes) }';
const UNSQUEEZE = SQUEEZE.replace('Squeeze', 'Unsqueeze');
const TILE = '(float[1,4] x) => (float[] y) <int64[2] r = {2, 1}> { [n] y = Tile (x, r) }';
const WHERE = '(float[4] x) => (float[] y) { [a] p = Cast <to = 9> (x) [n] y = Where (p, x, x) }';
const RESIZE =
  '(float[1,4,8,8] x) => (float[] y) <float[4] s = {1, 1, 2, 2}> { [n] y = Resize <mode = "linear", coordinate_transformation_mode = "half_pixel"> (x, "", s) }';
const NEAREST = RESIZE.replace(
  'mode = "linear", coordinate_transformation_mode = "half_pixel"',
  'mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor"',
);

export const coremlCases: readonly BrokenCase[] = [
  at('operator', RELU, ['Relu', 'Erf'], ['Erf', 'Sign']),
  at('static-shapes', RELU, ['[1,4', '[N,4']),
  at('no-empty-inputs', RELU, ['[1,4', '[0,4']),
  at('rank', RELU, ['[1,4', '[1,1,1,4']),
  at('float-data', RELU, ['(float[1', '(int32[1'], ['(float[]', '(int32[]']),
  at(
    'conv-rank',
    CONV,
    ['[1,4,8,8]', '[1,4,8,8,8]'],
    ['[4,4,3,3]', '[4,4,3,3,3]'],
    ['pads = [1, 1, 1, 1]', 'dilations = [1, 1, 1]'],
  ),
  at('conv-bias-constant', CONV, ['[1,4,8,8] x', '[1,4,8,8] x, float[4] b'], [', float[4] b = N', '']),
  at('conv-size', CONV, ['[1,4,8,8]', '[1,4,8,20000]']),
  at('conv-kernel-shape', CONV, ['pads = [1, 1, 1, 1]', 'kernel_shape = [2, 2]']),
  at(
    'conv-transpose-constant',
    UP,
    ['[1,4,8,8] x', '[1,4,8,8] x, float[4,4,3,3] w'],
    ['float[4,4,3,3] w = N, ', ''],
  ),
  at('conv-transpose-auto-pad', UP, ['strides', 'auto_pad = "SAME_UPPER", strides']),
  at('conv-transpose-even-pads', UP, ['strides', 'pads = [0, 0, 1, 1], strides']),
  at('conv-transpose-output-shape', UP, ['strides', 'output_shape = [17, 17], strides']),
  at('conv-transpose-output-padding', UP, ['strides', 'output_padding = [1, 1], strides']),
  at('pool-rank', POOL, ['[1,4,8,8]', '[1,4,8]'], ['[2, 2]', '[2]']),
  at('pool-dilations', POOL, ['kernel_shape', 'dilations = [2, 2], kernel_shape']),
  at('pool-indices', POOL, ['(float[] y)', '(float[] y, int64[] i)'], ['y = Max', 'y, i = Max']),
  at('gemm-constant', GEMM, ['[2,8] x', '[2,8] x, float[8,4] w'], ['float[8,4] w = N, ', '']),
  at('gemm-plain', GEMM, ['Gemm', 'Gemm <alpha = 0.5>']),
  at('gemm-bias', GEMM, ['float[4] b', 'float[2,1] b']),
  at('batch-normalization-rank', BATCH, ['[1,4,8,8]', '[1,4,8]']),
  at(
    'batch-normalization-constant',
    BATCH,
    ['[1,4,8,8] x', '[1,4,8,8] x, float[4] s'],
    ['float[4] s = N, ', ''],
  ),
  at('norm-constant', NORM, ['[1,4,8] x', '[1,4,8] x, float[8] s'], ['float[8] s = N, ', '']),
  at(
    'norm-types',
    NORM,
    ['(float[1', '(double[1'],
    ['(float[]', '(double[]'],
    ['float[8] s', 'double[8] s'],
    ['float[8] b', 'double[8] b'],
  ),
  at('norm-statistics', NORM, ['(float[] y)', '(float[] y, float[] m)'], ['y = Layer', 'y, m = Layer']),
  at('norm-stash', NORM, ['LayerNormalization', 'LayerNormalization <stash_type = 11>']),
  at('clip-bounds', CLIP, ['high = {6}', 'high = {0}']),
  at('pow-types', '(float[4] x) => (float[] y) <float e = {2}> { [n] y = Pow (x, e) }', [
    'float e',
    'int32 e',
  ]),
  at('prelu-rank', PRELU, ['[1,4,8,8]', '[1,1,4,8,8]']),
  at('prelu-slope', PRELU, ['[4,1,1]', '[4,8,8]']),
  at('argmax-first', '(float[4,8] x) => (int64[] y) { [n] y = ArgMax <axis = 1> (x) }', [
    'axis = 1',
    'axis = 1, select_last_index = 1',
  ]),
  at('reduce-axes', SUM, ['[1,4,8] x', '[1,4,8] x, int64[1] axes'], ['int64[1] axes = {1}', '']),
  at(
    'logic-types',
    AND,
    ['p = Cast <to = 9> (x)', 'p = Cast <to = 9> (x) [b] i = Cast <to = 1> (p)'],
    ['And (p, p)', 'And (i, i)'],
    ['(bool[] y)', '(bool[] y)'],
  ),
  at(
    'cast-types',
    '(float[4] x) => (int32[] y) { [n] y = Cast <to = 6> (x) }',
    ['int32[]', 'double[]'],
    ['to = 6', 'to = 11'],
  ),
  at('concat-count', '(float[4] x) => (float[] y) { [n] y = Concat <axis = 0> (x, x) }', ['(x, x)', '(x)']),
  at('gather-types', GATHER, ['(float[4', '(int32[4'], ['(float[]', '(int32[]']),
  at('gather-index-types', GATHER, ['int64[2] i', 'int8[2] i']),
  at('gather-rank', GATHER, ['[4,8]', '[4,8,1,1]'], ['int64[2]', 'int64[1,1,2]']),
  at('gather-nd-constant', GATHER_ND, ['[4,8] x', '[4,8] x, int64[2,1] i'], ['int64[2,1] i = {0, 2}', '']),
  at(
    'gather-nd-batch',
    GATHER_ND,
    ['GatherND', 'GatherND <batch_dims = 1>'],
    ['[2,1]', '[4,1]'],
    ['{0, 2}', '{0, 2, 1, 3}'],
  ),
  at('gather-nd-types', GATHER_ND, ['(float[4', '(double[4'], ['(float[]', '(double[]']),
  at('grid-sample-rank', GRID, ['[1,2,8,8]', '[1,2,8,8,8]'], ['[1,4,4,2]', '[1,4,4,4,3]']),
  at('grid-sample-mode', GRID, ['"linear"', '"nearest"']),
  at('grid-sample-reflection', GRID, ['"zeros"', '"reflection"']),
  at('pad-mode', PAD, ['Pad', 'Pad <mode = "edge">']),
  at('pad-constant', PAD, ['{0, 0, 1', '{0, 0, -1']),
  at('pad-mirror', PAD, ['Pad', 'Pad <mode = "reflect">'], ['{0, 0, 1', '{0, 1, 1']),
  at('pad-types', PAD, ['(float[1', '(int64[1'], ['(float[]', '(int64[]']),
  at('reshape-constant', RESHAPE, ['[1,4,8] x', '[1,4,8] x, int64[2] s'], ['int64[2] s = {4, 8}', '']),
  at('reshape-scalar', '(float[1] x) => (float[] y) <int64[1] s = {1}> { [n] y = Reshape (x, s) }', [
    'float[1] x',
    'float x',
  ]),
  at('shape-types', SHAPE, ['(float[2', '(bool[N'], [', float[] z', ''], ['[r] z = Relu (x)', '']),
  at('shape-some', SHAPE, ['[2,4]', '[N,4]'], ['Shape', 'Shape <start = 1, end = 1>']),
  at('slice-constant', SLICE, ['[1,4,8] x', '[1,4,8] x, int64[1] from'], ['int64[1] from = {1}, ', '']),
  at('slice-types', SLICE, ['(float[1', '(int32[1'], ['(float[]', '(int32[]']),
  at('slice-some', SLICE, ['to = {3}', 'to = {1}']),
  at('split-parts', SPLIT, ['{1, 3}', '{0, 4}']),
  at('squeeze-constant', SQUEEZE, ['[1,4,8] x', '[1,4,8] x, int64[1] axes'], ['int64[1] axes = {0}', '']),
  at('unsqueeze-rank', UNSQUEEZE, ['[1,4,8]', '[1,4,8,1,1]']),
  at('tile-repeats', TILE, ['{2, 1}', '{0, 1}']),
  at('tile-types', TILE, ['(float[1', '(int8[1'], ['(float[]', '(int8[]']),
  at(
    'where-types',
    WHERE,
    ['[n] y', '[b] i = Cast <to = 7> (x) [n] y'],
    ['x, x)', 'i, i)'],
    ['(float[]', '(int64[]'],
  ),
  at('resize-rank', RESIZE, ['[1,4,8,8]', '[4,8]'], ['float[4] s = {1, 1, 2, 2}', 'float[2] s = {2, 2}']),
  at('resize-mode', RESIZE, ['"linear"', '"cubic"']),
  at('resize-nearest', NEAREST, ['"floor"', '"ceil"']),
  at('resize-coordinates', RESIZE, ['half_pixel', 'asymmetric']),
  at(
    'resize-constant',
    RESIZE,
    ['[1,4,8,8] x', '[1,4,8,8] x, float[4] s'],
    ['float[4] s = {1, 1, 2, 2}', ''],
  ),
  at('resize-axes', RESIZE, ['{1, 1, 2', '{1, 2, 2']),
  at('resize-scales', RESIZE, ['{1, 1, 2, 2}', '{1, 1, 1.5, 1.5}']),
  at('resize-plain', RESIZE, ['mode =', 'exclude_outside = 1, mode =']),
];
