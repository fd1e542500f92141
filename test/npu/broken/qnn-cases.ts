/** One graph for each rule of the QNN tables. */
import { type BrokenCase, bias, data, type QuantizedGraph, raw, requantized, weight } from './case.js';

const at = (name: string, legal: QuantizedGraph, change: Partial<QuantizedGraph>): BrokenCase =>
  requantized(`qnn/${name}`, legal, change);

const wide = { type: 'uint16', scale: '0.001', zero: '32768' };
const channels = { scales: 4, attributes: '<axis = 0>' };

const convolution: QuantizedGraph = {
  node: 'f = Conv <pads = [1, 1, 1, 1]> (a, w, b)',
  reads: { a: data('1,4,8,8'), w: weight('4,4,3,3', channels), b: bias('4', channels) },
  gives: { f: {} },
};
const transposed: QuantizedGraph = {
  node: 'f = ConvTranspose (a, w)',
  reads: { a: data('1,4,8,8'), w: weight('4,4,3,3') },
  gives: { f: {} },
};
const product: QuantizedGraph = {
  node: 'f = MatMul (a, b)',
  reads: { a: data('4,8', wide), b: data('8,4') },
  gives: { f: wide },
};
const gemm: QuantizedGraph = {
  node: 'f = Gemm (a, w, b)',
  reads: { a: data('4,8'), w: weight('8,4'), b: bias('4') },
  gives: { f: {} },
};
/** An operator of one input; a grid for the output where it moves data, so that it stays. */
const unary = (node: string, shape = '1,4,8,8', values = ''): QuantizedGraph => ({
  node,
  reads: { a: data(shape) },
  gives: { f: {} },
  values,
});
const binary = (op: string): QuantizedGraph => ({
  node: `f = ${op} (a, b)`,
  reads: { a: data('4,8'), b: data('4,8') },
  gives: { f: {} },
});
const sigmoid = unary('f = Sigmoid (a)');
const exact: QuantizedGraph = {
  node: 'f = Sigmoid (a)',
  reads: { a: data('4,8', wide) },
  gives: { f: { type: 'uint16', scale: '0.0000152587890625', zero: '0' } },
};
const reshape = unary('f = Reshape (a, shape)', '1,4,8,8', 'int64[2] shape = {4, 64}');
const norm: QuantizedGraph = {
  node: 'f = LayerNormalization (a, w)',
  reads: { a: data('1,4,4'), w: weight('4', { type: 'uint8' }) },
  gives: { f: {} },
};
const resize = unary(
  'f = Resize <mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor"> (a, "", sizes)',
  '1,4,8,8',
  'float[4] sizes = {1, 1, 2, 2}',
);
const ask: QuantizedGraph = {
  node: 'f = ArgMax <axis = 1> (a)',
  reads: { a: data('4,8') },
  gives: { f: 'int64[]' },
};
const logic: QuantizedGraph = {
  node: 'f = And (p, p)',
  reads: { a: raw('int32[4] a') },
  before: '[cast] p = Cast <to = 9> (a)',
  gives: { f: 'bool[]' },
};
const modulus: QuantizedGraph = {
  node: 'f = Mod (a, b)',
  reads: { a: raw('int32[4] a'), b: raw('int32[4] b') },
  gives: { f: 'int32[]' },
};
const branch =
  'then_branch = t () => (float[1,4,8,8] p) { [inner] p = Relu (a) }, else_branch = e () => (float[1,4,8,8] r) { [other] r = Sigmoid (a) }';

const named = at('node-names', sigmoid, {});

export const qnnCases: readonly BrokenCase[] = [
  { ...named, broken: named.broken.replace('[node] ', '') },
  at('operator', sigmoid, { node: 'f = Erf (a)' }),
  at('qdq-unit', binary('Add'), { node: 'f = Add (a, b) [too] g = Add (f, a)', gives: { g: 'float[]' } }),
  at('subgraph', sigmoid, { node: `f = If <${branch}> (c)`, reads: { c: raw('bool c') } }),
  at('alone', sigmoid, {
    node: 'm = Erf (a) [one] n = QuantizeLinear (m, one_s, one_z) [not] o = BitwiseNot (n) [back] f = Cast <to = 1> (o)',
    values: 'float one_s = {0.1}, uint8 one_z = {128}',
  }),
  at('static-shapes', sigmoid, { reads: { a: data('N,4,8,8') } }),
  at('empty', sigmoid, { reads: { a: data('0,4,8,8') } }),
  at('rank', sigmoid, { reads: { a: data('1,1,1,4,8,8') } }),
  at('graph-io', sigmoid, { node: 'f = Sigmoid (a)', reads: { a: raw('float[1,4,8,8] a') } }),
  at('quantized', sigmoid, { node: 'm = Sigmoid (a) [more] f = Sigmoid (m)' }),
  at('constant-parameters', sigmoid, { gives: { f: { computed: true } } }),
  at('per-tensor', sigmoid, { reads: { a: data('1,4,8,8', { scales: 4, attributes: '<axis = 1>' }) } }),
  at('per-channel-axis', convolution, {
    reads: { w: weight('4,4,3,3', { scales: 4, attributes: '<axis = 1>' }) },
  }),
  at('blocks', convolution, {
    reads: { w: raw('float unused') },
    values: 'int8[4,4,3,3] wq = ["fill": "uniform:2:-5:5"], float[4,1,3,3] w_s = ["fill": "constant:0.1"]',
    before: '[d_w] w = DequantizeLinear <axis = 1, block_size = 4> (wq, w_s)',
  }),
  at('same-parameters', reshape, { gives: { f: { scale: '0.2' } } }),
  at('fixed-range', exact, { gives: { f: { type: 'uint16', scale: '0.00002', zero: '0' } } }),
  at('activation-types', sigmoid, {
    reads: { a: data('1,4,8,8', { type: 'int4', zero: '0' }) },
    gives: { f: { type: 'int4', zero: '0' } },
  }),
  at('one-type', binary('Add'), { reads: { b: data('4,8', wide) } }),
  at('weight-types', norm, { reads: { w: weight('4', { type: 'uint16' }) } }),
  at('wide-products', product, { reads: { b: data('8,4', wide) } }),
  at('wide-weights', convolution, {
    reads: {
      a: data('1,4,8,8', wide),
      w: weight('4,4,3,3', { type: 'uint16' }),
      b: bias('4'),
    },
    gives: { f: wide },
  }),
  at('bias-type', convolution, { reads: { b: bias('4', { type: 'int8', ...channels }) } }),
  at('constant-operands', reshape, { reads: { shape: raw('int64[2] shape') }, values: '' }),
  at('convolution-rank', convolution, {
    node: 'f = Conv (a, w, b)',
    reads: { a: data('1,4,3,3,3,3'), w: weight('4,4,1,1,1,1', channels) },
  }),
  at('transposed-dilation', transposed, { node: 'f = ConvTranspose <dilations = [2, 2]> (a, w)' }),
  at('pool', unary('f = MaxPool <kernel_shape = [2, 2]> (a)'), {
    node: 'f = MaxPool <kernel_shape = [2, 2], dilations = [2, 2]> (a)',
  }),
  at('gemm', gemm, { node: 'f = Gemm <alpha = 0.5> (a, w, b)' }),
  at('two-inputs', binary('Max'), { node: 'f = Max (a, b, a)' }),
  at('gather-indices', unary('f = Gather (a, i)', '4,8', 'int64[2] i = {0, 1}'), {
    values: 'int64[2] i = {0, -1}',
  }),
  at('resize-rank', resize, {
    reads: { a: data('8,8') },
    values: 'float[2] sizes = {2, 2}',
  }),
  at('resize-mode', resize, { node: resize.node.replace('"floor"', '"ceil"') }),
  at('coordinates', resize, {
    node: 'f = Resize <mode = "linear", coordinate_transformation_mode = "tf_crop_and_resize"> (a, region, sizes)',
    values: 'float[4] sizes = {1, 1, 2, 2}, float[8] region = {0, 0, 0, 0, 1, 1, 1, 1}',
  }),
  at('last-axis', norm, {
    node: 'f = LayerNormalization <axis = 1> (a, w)',
    reads: { w: weight('4,4', { type: 'uint8' }) },
  }),
  at('rms-rank', norm, {
    node: 'f = RMSNormalization (a, w)',
    reads: { a: data('1,1,1,4,4') },
  }),
  at(
    'instance-rank',
    {
      node: 'f = InstanceNormalization (a, w, b)',
      reads: { a: data('1,4,8'), w: weight('4', { type: 'uint8' }), b: bias('4') },
      gives: { f: {} },
    },
    { reads: { a: data('1,4,2,2,2,2') } },
  ),
  at('reshape', reshape, { node: 'f = Reshape <allowzero = 1> (a, shape)' }),
  at('cumsum', unary('f = CumSum (a, axis)', '4,8', 'int64 axis = {1}'), {
    node: 'f = CumSum <exclusive = 1> (a, axis)',
  }),
  at('mod', modulus, {
    node: 'f = Mod <fmod = 1> (a, b)',
  }),
  at('lp-norm', unary('f = LpNormalization (a)', '4,8'), { node: 'f = LpNormalization <p = 1> (a)' }),
  at('arg-extremes', ask, { node: 'f = ArgMax <axis = 1, select_last_index = 1> (a)' }),
  at('products', logic, { node: 'f = Or (p, p)' }),
  at('reduce-l2', unary('f = ReduceSum (a, axes)', '4,8', 'int64[1] axes = {1}'), {
    node: 'f = ReduceL2 (a, axes)',
  }),
  {
    ...at('block-matmul', sigmoid, {
      node: 'f = com.microsoft.MatMulNBits <K = 32, N = 4, bits = 4, block_size = 16> (a, w, s)',
      reads: { a: raw('float[8,32] a'), w: raw('uint8[4,2,8] w'), s: raw('float[8] s') },
      gives: { f: 'float[]' },
    }),
    only: 'npu-qnn-plugin',
  },
  at('recurrent', unary('f = Sigmoid (a)', '2,1,4'), {
    node: 'f = LSTM <hidden_size = 4> (a, w, r)',
    reads: { w: weight('1,16,4'), r: weight('1,16,4') },
  }),
];
