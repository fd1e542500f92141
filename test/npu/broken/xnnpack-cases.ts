/** One graph for each rule of the XNNPACK table. Q and DQ at the ends of a graph are left to the CPU, so that bytes go in and out. */
import { type BrokenCase, changed } from './case.js';

const at = (name: string, legal: string, ...changes: Parameters<typeof changed>[2][]): BrokenCase =>
  changed(`xnnpack/${name}`, legal, ...changes);

const CONV =
  '(float[1,4,8,8] x) => (float[] y) <float[4,4,3,3] w = N, float[4] b = N> { [n] y = Conv <pads = [1, 1, 1, 1]> (x, w, b) }';
const MAX = '(float[1,4,8,8] x) => (float[] y) { [n] y = MaxPool <kernel_shape = [2, 2]> (x) }';
const MEAN = MAX.replace('MaxPool', 'AveragePool');
const RESIZE =
  '(float[1,4,8,8] x) => (float[] y) <float[4] s = {1, 1, 2, 2}> { [n] y = Resize <mode = "linear"> (x, "", s) }';
const SOFTMAX = '(float[2,8] x) => (float[] y) { [n] y = Softmax <axis = 1> (x) }';
const GEMM = '(float[2,8] x) => (float[] y) <float[8,4] w = N, float[4] b = N> { [n] y = Gemm (x, w, b) }';
const RELU = `${CONV.slice(0, -2).replace('[n] y', '[n] c')} [r] y = Relu (c) }`;

/** Bytes in and out, between Q and DQ. */
const unit = (node: string, weights = '') =>
  `(int8[1,4,8,8] x) => (int8[] y) <float s = {0.1}, int8 z = {0}, float ys = {0.1}, int8 yz = {0}${weights}> {
    [d] a = DequantizeLinear (x, s, z) ${node} [q] y = QuantizeLinear (f, ys, yz) }`;
const QUANTIZED = unit(
  '[dw] wf = DequantizeLinear <axis = 0> (w, ws, wz) [n] f = Conv <pads = [1, 1, 1, 1]> (a, wf)',
  ', int8[4,4,3,3] w = ["fill": "uniform:1:-5:5"], float[4] ws = {0.1, 0.1, 0.1, 0.1}, int8[4] wz = {0, 0, 0, 0}',
);
const TRANSPOSED = unit(
  '[dw] wf = DequantizeLinear (w, ws, wz) [n] f = ConvTranspose (a, wf)',
  ', int8[4,4,3,3] w = ["fill": "uniform:1:-5:5"], float ws = {0.1}, int8 wz = {0}',
);
const POOLED = unit('[n] f = MaxPool <kernel_shape = [2, 2]> (a)');

export const xnnpackCases: readonly BrokenCase[] = [
  at('operator', SOFTMAX, ['Softmax <axis = 1>', 'Sigmoid']),
  at('qdq-unit', QUANTIZED, ['(int8[] y)', '(int8[] y, float[] f)']),
  at(
    'conv-rank',
    CONV,
    ['[1,4,8,8]', '[1,4,8,8,8]'],
    ['[4,4,3,3]', '[4,4,3,3,3]'],
    ['pads = [1, 1, 1, 1]', 'dilations = [1, 1, 1]'],
  ),
  at('image-size', CONV, ['[1,4,8,8]', '[1,4,H,8]']),
  at('conv-constant', CONV, ['[1,4,8,8] x', '[1,4,8,8] x, float[4] b'], [', float[4] b = N', '']),
  at('padding', CONV, ['pads = [1, 1, 1, 1]', 'auto_pad = "SAME_LOWER"']),
  at(
    'product-types',
    QUANTIZED,
    ['(int8[1,4', '(uint8[1,4'],
    ['(int8[] y)', '(uint8[] y)'],
    ['int8 z = {0}', 'uint8 z = {0}'],
    ['int8 yz', 'uint8 yz'],
  ),
  at('symmetric-weights', QUANTIZED, ['wz = {0,', 'wz = {1,']),
  at('constant-scales', QUANTIZED, ['8,8] x)', '8,8] x, float s)'], ['float s = {0.1}, ', '']),
  at(
    'conv-transpose-one-scale',
    TRANSPOSED,
    ['float ws = {0.1}', 'float[4] ws = {0.1, 0.1, 0.1, 0.1}'],
    ['int8 wz = {0}', 'int8[4] wz = {0, 0, 0, 0}'],
    ['DequantizeLinear (w', 'DequantizeLinear <axis = 1> (w'],
  ),
  at('pool-window', MAX, ['[2, 2]', '[1, 1]']),
  at('pool-ceiling', MAX, ['kernel_shape', 'ceil_mode = 1, kernel_shape']),
  at('pool-indices', MAX, ['(float[] y)', '(float[] y, int64[] i)'], ['y = Max', 'y, i = Max']),
  at(
    'pool-types',
    POOLED,
    ['(int8[1,4', '(int16[1,4'],
    ['(int8[] y)', '(int16[] y)'],
    ['int8 z = {0}', 'int16 z = {0}'],
    ['int8 yz', 'int16 yz'],
  ),
  at('average-types', POOLED, ['MaxPool', 'AveragePool']),
  at('average-plain', MEAN, ['kernel_shape', 'count_include_pad = 1, kernel_shape']),
  at(
    'resize-rank',
    RESIZE,
    ['[1,4,8,8]', '[4,8,8]'],
    ['float[4] s = {1, 1, 2, 2}', 'float[3] s = {1, 2, 2}'],
  ),
  at('resize-mode', RESIZE, ['"linear"', '"cubic"']),
  at('resize-axes', RESIZE, ['{1, 1, 2', '{1, 2, 2']),
  at(
    'resize-coordinates',
    RESIZE,
    ['mode =', 'coordinate_transformation_mode = "tf_crop_and_resize", mode ='],
    ['(x, "", s)', '(x, r, s)'],
    ['float[4] s', 'float[8] r = {0, 0, 0, 0, 1, 1, 1, 1}, float[4] s'],
  ),
  at('resize-plain', RESIZE, ['mode =', 'exclude_outside = 1, mode =']),
  at('softmax-axis', SOFTMAX, ['axis = 1', 'axis = 0']),
  at('softmax-grid', SOFTMAX, ['(float[2', '(double[2'], ['(float[]', '(double[]']),
  at(
    'matrix-types',
    GEMM,
    ['(float[2', '(double[2'],
    ['(float[]', '(double[]'],
    ['float[8,4]', 'double[8,4]'],
    ['float[4]', 'double[4]'],
  ),
  at('matrix-constant', GEMM, ['[2,8] x', '[2,8] x, float[8,4] w'], ['float[8,4] w = N, ', '']),
  at('gemm-plain', GEMM, ['Gemm', 'Gemm <alpha = 0.5>']),
  at('gemm-bias', GEMM, ['float[4] b', 'float[1,1] b']),
  at('bounds-before', RELU, ['(float[] y)', '(float[] y, float[] c)']),
];
