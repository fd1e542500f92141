/** One graph for each rule of the LiteRT table. */
import { type BrokenCase, bias, changed, data, type QuantizedGraph, requantized, weight } from './case.js';

const at = (name: string, legal: string, ...changes: Parameters<typeof changed>[2][]): BrokenCase =>
  changed(`litert/${name}`, legal, ...changes);
const around = (name: string, legal: QuantizedGraph, change: Partial<QuantizedGraph>): BrokenCase =>
  requantized(`litert/${name}`, legal, change);

const RELU = '(float[1,4,8,8] x) => (float[] y) { [n] y = Relu (x) }';
const CONV =
  '(float[1,4,8,8] x) => (float[] y) <float[4,4,3,3] w = N, float[4] b = N> { [n] y = Conv <pads = [1, 1, 1, 1]> (x, w, b) }';
const UP =
  '(float[1,4,8,8] x) => (float[] y) <float[4,4,3,3] w = N> { [n] y = ConvTranspose <strides = [2, 2]> (x, w) }';
const MAX = '(float[1,4,8,8] x) => (float[] y) { [n] y = MaxPool <kernel_shape = [2, 2]> (x) }';
const MEAN =
  '(float[1,4,8,8] x) => (float[] y) { [n] y = AveragePool <ceil_mode = 1, kernel_shape = [2, 2]> (x) }';
const PADDED_MEAN =
  '(float[1,4,8,8] x) => (float[] y) { [n] y = AveragePool <count_include_pad = 1, kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [2, 2]> (x) }';
const RESIZE =
  '(float[1,4,8,8] x) => (float[] y) <float[4] s = {1, 1, 2, 2}> { [n] y = Resize <mode = "linear"> (x, "", s) }';
const PAD =
  '(float[1,4,8,8] x) => (float[] y) <int64[8] p = {0, 0, 1, 1, 0, 0, 1, 1}> { [n] y = Pad (x, p) }';
const RESHAPE = '(float[1,4,8] x) => (float[] y) <int64[2] s = {4, 8}> { [n] y = Reshape (x, s) }';
const CLIP =
  '(float[1,4,8,8] x) => (float[] y) <float low = {0}, float high = {6}> { [n] y = Clip (x, low, high) }';
const GEMM = '(float[2,8] x) => (float[] y) <float[8,4] w = N, float[4] b = N> { [n] y = Gemm (x, w, b) }';
const ELU = '(float[1,4] x) => (float[] y) { [n] y = Elu (x) }';

const signed = { type: 'int8', zero: '0' };
const channels = { scales: 4, attributes: '<axis = 0>' };
const convolution: QuantizedGraph = {
  node: 'f = Conv <pads = [1, 1, 1, 1]> (a, w, b)',
  reads: { a: data('1,4,8,8', signed), w: weight('4,4,3,3', channels), b: bias('4', channels) },
  gives: { f: signed },
};

export const litertCases: readonly BrokenCase[] = [
  at('operator', RELU, ['Relu', 'Erf']),
  at('static-shapes', RELU, ['[1,4', '[N,4']),
  at('constant-weights', CONV, ['[1,4,8,8] x', '[1,4,8,8] x, float[4] b'], [', float[4] b = N', '']),
  at(
    'windows',
    CONV,
    ['[1,4,8,8]', '[1,4,8,8,8]'],
    ['[4,4,3,3]', '[4,4,3,3,3]'],
    ['pads = [1, 1, 1, 1]', 'dilations = [1, 1, 1]'],
  ),
  at('transposed-convolution', UP, ['strides', 'dilations = [2, 2], strides']),
  at('pool', MAX, ['kernel_shape', 'dilations = [2, 2], kernel_shape']),
  at('even-means', MEAN, ['ceil_mode', 'count_include_pad = 1, ceil_mode']),
  at('resize', RESIZE, ['"linear"', '"cubic"']),
  at('pad', PAD, ['{0, 0, 1', '{0, 0, -1']),
  at('constant-arguments', RESHAPE, ['[1,4,8] x', '[1,4,8] x, int64[2] s'], ['int64[2] s = {4, 8}', '']),
  at('bounds', CLIP, ['[1,4,8,8] x', '[1,4,8,8] x, float high'], [', float high = {6}', '']),
  at('gemm', GEMM, ['Gemm', 'Gemm <alpha = 0.5>']),
  at('elu', ELU, ['Elu', 'Elu <alpha = 0.5>']),
  at('form', PADDED_MEAN, ['count_include_pad = 1, ', '']),
  around('bytes', convolution, {
    reads: { a: data('1,4,8,8', { type: 'int16', zero: '0' }) },
    gives: { f: { type: 'int16', zero: '0' } },
  }),
  around('weights', convolution, { reads: { w: weight('4,4,3,3', { ...channels, zero: '1' }) } }),
];
