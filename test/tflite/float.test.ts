/** Every operator in float: LiteRT answers as ONNX Runtime does. */
import { expect } from 'chai';
import { runBeside } from './beside.js';

/** Name, graph, and the operators that it shall become where that matters. */
const CASES: readonly (readonly [name: string, graph: string, ops?: readonly string[]])[] = [
  [
    'Conv with uneven padding, and Relu',
    `g (float[1,3,9,8] x) => (float[1,4,5,4] y) <float[4,3,3,3] w = ["fill": "normal:1"], float[4] b = ["fill": "normal:2"]> { c = Conv <strides = [2,2], pads = [1,1,1,1]> (x, w, b) y = Relu (c) }`,
    ['PAD', 'CONV_2D'],
  ],
  [
    'Conv with equal padding',
    'g (float[1,3,8,8] x) => (float[1,4,8,8] y) <float[4,3,3,3] w = ["fill": "normal:1"]> { y = Conv <pads = [1,1,1,1]> (x, w) }',
    ['CONV_2D'],
  ],
  [
    'Conv padded as SAME_LOWER',
    'g (float[1,3,8,8] x) => (float[1,4,4,4] y) <float[4,3,3,3] w = ["fill": "normal:1"]> { y = Conv <strides = [2,2], auto_pad = "SAME_LOWER"> (x, w) }',
  ],
  [
    'Conv padded as SAME_UPPER',
    'g (float[1,3,8,8] x) => (float[1,4,4,4] y) <float[4,3,3,3] w = ["fill": "normal:1"]> { y = Conv <strides = [2,2], auto_pad = "SAME_UPPER"> (x, w) }',
    ['CONV_2D'],
  ],
  [
    'Conv with dilations',
    'g (float[1,3,9,9] x) => (float[1,4,5,5] y) <float[4,3,3,3] w = ["fill": "normal:1"]> { y = Conv <dilations = [2,2]> (x, w) }',
    ['CONV_2D'],
  ],
  [
    'Conv of each channel',
    'g (float[1,4,8,8] x) => (float[1,4,8,8] y) <float[4,1,3,3] w = ["fill": "normal:1"], float[4] b = ["fill": "normal:2"], float z = {0.0}, float s = {6.0}> { c = Conv <pads = [1,1,1,1], group = 4> (x, w, b) y = Clip (c, z, s) }',
    ['DEPTHWISE_CONV_2D'],
  ],
  [
    'Conv of each channel into two',
    'g (float[1,3,8,8] x) => (float[1,6,4,4] y) <float[6,1,3,3] w = ["fill": "normal:1"]> { y = Conv <pads = [1,1,1,1], strides = [2,2], group = 3> (x, w) }',
    ['PAD', 'DEPTHWISE_CONV_2D'],
  ],
  [
    'Conv in groups',
    'g (float[1,4,8,8] x) => (float[1,6,6,6] y) <float[6,2,3,3] w = ["fill": "normal:1"]> { y = Conv <group = 2> (x, w) }',
    ['CONV_2D'],
  ],
  [
    'Conv of one dimension',
    'g (float[1,3,16] x) => (float[1,4,8] y) <float[4,3,3] w = ["fill": "normal:1"]> { y = Conv <strides = [2], pads = [1,1]> (x, w) }',
  ],
  [
    'ConvTranspose without padding',
    'g (float[1,3,5,5] x) => (float[1,2,10,10] y) <float[3,2,2,2] w = ["fill": "normal:1"], float[2] b = ["fill": "normal:2"]> { y = ConvTranspose <strides = [2,2]> (x, w, b) }',
    ['TRANSPOSE_CONV'],
  ],
  [
    'ConvTranspose with equal padding',
    'g (float[1,3,5,5] x) => (float[1,2,10,10] y) <float[3,2,4,4] w = ["fill": "normal:1"]> { y = ConvTranspose <strides = [2,2], pads = [1,1,1,1]> (x, w) }',
    ['TRANSPOSE_CONV'],
  ],
  [
    'ConvTranspose with a wider output',
    'g (float[1,3,5,5] x) => (float[1,2,10,10] y) <float[3,2,3,3] w = ["fill": "normal:1"]> { y = ConvTranspose <strides = [2,2], pads = [1,1,1,1], output_padding = [1,1]> (x, w) }',
    ['TRANSPOSE_CONV', 'SLICE'],
  ],
  [
    'MaxPool',
    'g (float[1,3,8,8] x) => (float[1,3,4,4] y) { y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x) }',
    ['MAX_POOL_2D'],
  ],
  [
    'MaxPool with uneven padding',
    'g (float[1,3,8,8] x) => (float[1,3,4,4] y) { n = Neg (x) m = MaxPool <kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]> (n) y = Neg (m) }',
  ],
  [
    'MaxPool rounded up',
    'g (float[1,3,7,7] x) => (float[1,3,4,4] y) { y = MaxPool <kernel_shape = [2,2], strides = [2,2], ceil_mode = 1> (x) }',
  ],
  [
    'AveragePool',
    'g (float[1,3,8,8] x) => (float[1,3,8,8] y) { y = AveragePool <kernel_shape = [3,3], pads = [1,1,1,1]> (x) }',
    ['AVERAGE_POOL_2D'],
  ],
  [
    'AveragePool that counts padding',
    'g (float[1,3,8,8] x) => (float[1,3,8,8] y) { y = AveragePool <kernel_shape = [3,3], pads = [1,1,1,1], count_include_pad = 1> (x) }',
    ['PAD', 'AVERAGE_POOL_2D'],
  ],
  [
    'a classifier’s end',
    'g (float[1,3,8,8] x) => (float[1,5] y) <float[4,3,3,3] w = ["fill": "normal:1"], float[5,4] f = ["fill": "normal:2"], float[5] b = ["fill": "normal:3"]> { c = Conv (x, w) r = Relu (c) p = GlobalAveragePool (r) t = Flatten (p) l = Gemm <transB = 1> (t, f, b) y = Softmax (l) }',
  ],
  [
    'Flatten of a picture',
    'g (float[1,3,4,4] x) => (float[1,32] y) <float[2,3,1,1] w = ["fill": "normal:1"]> { c = Conv (x, w) y = Flatten (c) }',
    ['CONV_2D', 'TRANSPOSE', 'RESHAPE'],
  ],
  [
    'a residual, and a constant a channel',
    'g (float[1,3,4,4] x) => (float[1,3,4,4] y) <float[3,3,1,1] w = ["fill": "normal:1"], float[3,1,1] s = ["fill": "normal:2"], float k = {0.5}> { c = Conv (x, w) a = Add (c, x) m = Mul (a, s) d = Sub (m, k) y = Relu (d) }',
    ['CONV_2D', 'ADD', 'MUL', 'SUB'],
  ],
  [
    'Sigmoid, Tanh, HardSwish, SiLU',
    'g (float[1,3,4,4] x) => (float[1,3,4,4] y) { s = Sigmoid (x) m = Mul (x, s) t = Tanh (m) y = HardSwish (t) }',
  ],
  [
    'HardSigmoid',
    'g (float[1,3,4,4] x) => (float[1,3,4,4] y) { y = HardSigmoid <alpha = 0.2, beta = 0.4> (x) }',
  ],
  [
    'LeakyRelu, PRelu, Elu',
    'g (float[1,3,4,4] x) => (float[1,3,4,4] y) <float[3,1,1] s = ["fill": "normal:2"], float[3,3,1,1] w = ["fill": "normal:1"]> { c = Conv (x, w) l = LeakyRelu <alpha = 0.1> (c) p = PRelu (l, s) y = Elu (p) }',
  ],
  [
    'Clip of other bounds',
    'g (float[1,4] x) => (float[1,4] y) <float l = {-0.5}, float h = {0.75}> { y = Clip (x, l, h) }',
    ['MAXIMUM', 'MINIMUM'],
  ],
  [
    'Min, Max, Div, Pow, Sqrt, Exp, Log, Abs',
    'g (float[1,4] x, float[1,4] z) => (float[1,4] y) <float two = {2.0}, float one = {1.0}> { a = Max (x, z, one) b = Min (a, two) c = Div (b, two) d = Pow (c, two) e = Sqrt (d) f = Exp (e) g = Log (f) h = Neg (g) i = Abs (h) j = Floor (x) k = Ceil (j) l = Reciprocal (b) m = Sum (i, k, l) y = Identity (m) }',
  ],
  [
    'Softmax of channels',
    'g (float[1,3,4,4] x) => (float[1,3,4,4] y) <float[3,3,1,1] w = ["fill": "normal:1"]> { c = Conv (x, w) y = Softmax <axis = 1> (c) }',
    ['CONV_2D', 'SOFTMAX'],
  ],
  [
    'Softmax of rows',
    'g (float[1,3,4,5] x) => (float[1,3,4,5] y) <float[3,3,1,1] w = ["fill": "normal:1"]> { c = Conv (x, w) y = Softmax <axis = 2> (c) }',
  ],
  [
    'Concat, Split, Slice of channels',
    'g (float[1,4,4,4] x) => (float[1,5,4,2] y) <float[4,4,1,1] w = ["fill": "normal:1"], int64[2] a = {1,0}, int64[2] b = {6,4}, int64[2] ax = {1,3}, int64[2] st = {1,2}> { c = Conv (x, w) p, q = Split <axis = 1, num_outputs = 2> (c) d = Concat <axis = 1> (q, c) y = Slice (d, a, b, ax, st) }',
  ],
  [
    'Slice backwards',
    'g (float[1,6] x) => (float[1,3] y) <int64[1] a = {-1}, int64[1] b = {-100}, int64[1] ax = {1}, int64[1] st = {-2}> { y = Slice (x, a, b, ax, st) }',
  ],
  [
    'Pad and Gather of channels',
    'g (float[1,3,4,4] x) => (float[1,3,6,5] y) <float[3,3,1,1] w = ["fill": "normal:1"], int64[8] p = {0,0,1,0,0,0,1,1}, float v = {1.5}, int64[3] i = {2,-3,1}> { c = Conv (x, w) d = Pad (c, p, v) y = Gather <axis = 1> (d, i) }',
    ['CONV_2D', 'PADV2', 'GATHER'],
  ],
  [
    'Pad that mirrors',
    'g (float[1,3,4,4] x) => (float[1,3,6,6] y) <int64[8] p = {0,0,1,1,0,0,1,1}> { y = Pad <mode = "reflect"> (x, p) }',
  ],
  [
    'Transpose that puts channels last',
    'g (float[1,3,4,4] x) => (float[1,16,2] y) <float[2,3,1,1] w = ["fill": "normal:1"], int64[3] s = {1,16,2}> { c = Conv (x, w) t = Transpose <perm = [0,2,3,1]> (c) y = Reshape (t, s) }',
    ['CONV_2D', 'RESHAPE'],
  ],
  [
    'Transpose at the head',
    'g (float[1,4,4,3] x) => (float[1,2,4,4] y) <float[2,3,1,1] w = ["fill": "normal:1"]> { t = Transpose <perm = [0,3,1,2]> (x) y = Conv (t, w) }',
    ['CONV_2D'],
  ],
  [
    'Resize, nearest',
    'g (float[1,3,4,4] x) => (float[1,3,8,8] y) <float[4] s = {1,1,2,2}> { y = Resize <mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor"> (x, , s) }',
    ['RESIZE_NEAREST_NEIGHBOR'],
  ],
  [
    'Resize, linear',
    'g (float[1,3,4,4] x) => (float[1,3,7,9] y) <int64[4] s = {1,3,7,9}> { y = Resize <mode = "linear"> (x, , , s) }',
    ['RESIZE_BILINEAR'],
  ],
  [
    'Resize, corners aligned',
    'g (float[1,3,4,4] x) => (float[1,3,8,8] y) <float[4] s = {1,1,2,2}> { y = Resize <mode = "linear", coordinate_transformation_mode = "align_corners"> (x, , s) }',
    ['RESIZE_BILINEAR'],
  ],
  [
    'ReduceMean of a picture',
    'g (float[1,3,4,4] x) => (float[1,2] y) <float[2,3,1,1] w = ["fill": "normal:1"], int64[2] a = {2,3}> { c = Conv (x, w) y = ReduceMean <keepdims = 0> (c, a) }',
    ['CONV_2D', 'MEAN'],
  ],
  [
    'ReduceSum and ReduceMax of channels',
    'g (float[1,3,4,4] x) => (float[1,4,4] y) <float[2,3,1,1] w = ["fill": "normal:1"], int64[1] a = {1}> { c = Conv (x, w) s = ReduceSum <keepdims = 1> (c, a) d = Add (s, c) y = ReduceMax <keepdims = 0> (d, a) }',
  ],
  [
    'ReduceMean of rows',
    'g (float[1,3,4,5] x) => (float[1,2,5] y) <float[2,3,1,1] w = ["fill": "normal:1"], int64[1] a = {2}> { c = Conv (x, w) y = ReduceMean <keepdims = 0> (c, a) }',
  ],
  [
    'MatMul of three dimensions',
    'g (float[1,4,6] x) => (float[1,4,5] y) <float[6,5] w = ["fill": "normal:1"]> { y = MatMul (x, w) }',
    ['FULLY_CONNECTED'],
  ],
  [
    'MatMul of two values',
    'g (float[1,4,6] x, float[1,6,3] z) => (float[1,4,3] y) { y = MatMul (x, z) }',
    ['BATCH_MATMUL'],
  ],
  [
    'DepthToSpace',
    'g (float[1,12,2,3] x) => (float[1,3,4,6] y) { y = DepthToSpace <blocksize = 2> (x) }',
    ['DEPTH_TO_SPACE'],
  ],
  [
    'DepthToSpace behind a convolution, columns first',
    'g (float[1,3,2,3] x) => (float[1,3,4,6] y) <float[12,3,1,1] w = ["fill": "normal:1"], float[12] b = ["fill": "normal:2"]> { c = Conv (x, w, b) y = DepthToSpace <blocksize = 2, mode = "CRD"> (c) }',
    ['CONV_2D', 'DEPTH_TO_SPACE'],
  ],
  [
    'DepthToSpace, columns first',
    'g (float[1,12,2,3] x) => (float[1,3,4,6] y) { y = DepthToSpace <blocksize = 2, mode = "CRD"> (x) }',
    ['GATHER', 'DEPTH_TO_SPACE'],
  ],
  [
    'SpaceToDepth',
    'g (float[1,3,4,6] x) => (float[1,12,2,3] y) { y = SpaceToDepth <blocksize = 2> (x) }',
    ['SPACE_TO_DEPTH'],
  ],
  [
    'an input that is an output, twice',
    'g (float[1,4] x) => (float[1,4] y, float[4] z) { y = Identity (x) a = Relu (x) s = Constant <value_ints = [4]> () z = Reshape (a, s) }',
  ],
  [
    'InstanceNormalization with channels last',
    'g (float[1,3,4,5] x) => (float[1,2,4,5] y) <float[2,3,1,1] w = ["fill": "normal:1"], float[2] s = ["fill": "normal:2"], float[2] b = ["fill": "normal:3"]> { c = Conv (x, w) y = InstanceNormalization (c, s, b) }',
  ],
  [
    'InstanceNormalization in ONNX’s order',
    'g (float[1,3,8] x) => (float[1,3,8] y) <float[3] s = ["fill": "normal:2"], float[3] b = ["fill": "normal:3"]> { y = InstanceNormalization (x, s, b) }',
  ],
  [
    'LayerNormalization',
    'g (float[1,3,8] x) => (float[1,3,8] y, float[1,3,8] z) <float[8] s = ["fill": "normal:2"], float[8] b = ["fill": "normal:3"], float[3,8] t = ["fill": "normal:4"]> { y = LayerNormalization (x, s, b) z = LayerNormalization <axis = 1> (x, t) }',
  ],
  [
    'Gelu',
    'g (float[1,8] x) => (float[1,8] y, float[1,8] z) { y = Gelu (x) z = Gelu <approximate = "tanh"> (x) }',
    ['GELU', 'GELU'],
  ],
];

describe('tflite in float', () => {
  for (const [name, graph, ops] of CASES) {
    it(name, async () => {
      const found = await runBeside(graph);
      expect(found.difference, found.ops.join()).to.be.below(2e-5);
      if (ops) expect(found.ops).to.deep.equal(ops);
    });
  }

  it('keeps ONNX’s order at the ports where it is asked to', async () => {
    const graph =
      'g (float[1,3,8,8] x) => (float[1,4,6,6] y) <float[4,3,3,3] w = ["fill": "normal:1"]> { y = Conv (x, w) }';
    const found = await runBeside(graph, { ports: 'plain' });
    expect(found.difference).to.be.below(2e-5);
    expect(found.ops).to.deep.equal(['TRANSPOSE', 'CONV_2D', 'TRANSPOSE']);
    expect(found.converted.inputs[0]).to.include({ layout: 'plain' });
  });
});
