/** One-node models by operator, `T` standing for an element type: what the WebGPU table's rows are held to. */

const unary = (op: string): [string, string] => [op, `g (T[2,3,4,5] x) => (T[2,3,4,5] y) { y = ${op} (x) }`];
const binary = (op: string, made = 'T'): [string, string] => [
  op,
  `g (T[2,3,4,5] x, T[2,3,4,5] z) => (${made}[2,3,4,5] y) { y = ${op} (x, z) }`,
];
const reduction = (op: string): [string, string] => [
  op,
  `g (T[2,3,4,5] x) => (T[2,3,4,1] y) <int64[1] a = {-1}> { y = ${op} (x, a) }`,
];
const words = (text: string): string[] => text.split(' ');

export const SAMPLES: ReadonlyMap<string, string> = new Map([
  ...words(
    'Abs Acos Acosh Asin Asinh Atan Atanh Ceil Cos Cosh Elu Erf Exp Floor Gelu HardSigmoid HardSwish Identity LeakyRelu ' +
      'Log Neg Reciprocal Relu Sigmoid Sin Sinh Softplus Softmax Sqrt Tan Tanh ThresholdedRelu Mish LpNormalization Not ' +
      'Trilu Selu Celu Sign Softsign Hardmax Round Shrink Dropout MeanVarianceNormalization',
  ).map(unary),
  ...words('Add Sub Mul Div Pow Max Min PRelu And Or Xor Sum Mean Mod').map((op) => binary(op)),
  ...words('Equal Greater GreaterOrEqual Less LessOrEqual').map((op) => binary(op, 'bool')),
  ...words(
    'ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare',
  ).map(reduction),
  ['ArgMax', 'g (T[2,3] x) => (int64[1,3] y) { y = ArgMax (x) }'],
  ['ArgMin', 'g (T[2,3] x) => (int64[1,3] y) { y = ArgMin (x) }'],
  ['GlobalAveragePool', 'g (T[2,3,4,5] x) => (T[2,3,1,1] y) { y = GlobalAveragePool (x) }'],
  ['GlobalMaxPool', 'g (T[2,3,4,5] x) => (T[2,3,1,1] y) { y = GlobalMaxPool (x) }'],
  ['AveragePool', 'g (T[2,3,4,5] x) => (T[2,3,3,4] y) { y = AveragePool <kernel_shape = [2, 2]> (x) }'],
  ['MaxPool', 'g (T[2,3,4,5] x) => (T[2,3,3,4] y) { y = MaxPool <kernel_shape = [2, 2]> (x) }'],
  ['Conv', 'g (T[2,3,4,5] x, T[6,3,2,2] w) => (T[2,6,3,4] y) { y = Conv (x, w) }'],
  ['ConvTranspose', 'g (T[2,3,4,5] x, T[3,6,2,2] w) => (T[2,6,5,6] y) { y = ConvTranspose (x, w) }'],
  [
    'BatchNormalization',
    'g (T[2,3,4] x, T[3] s, T[3] b, T[3] m, T[3] v) => (T[2,3,4] y) { y = BatchNormalization (x, s, b, m, v) }',
  ],
  [
    'InstanceNormalization',
    'g (T[2,3,4] x, T[3] s, T[3] b) => (T[2,3,4] y) { y = InstanceNormalization (x, s, b) }',
  ],
  [
    'LayerNormalization',
    'g (T[2,3,4] x, T[4] s, T[4] b) => (T[2,3,4] y) { y = LayerNormalization (x, s, b) }',
  ],
  [
    'GroupNormalization',
    'g (T[2,4,4] x, T[4] s, T[4] b) => (T[2,4,4] y) { y = GroupNormalization <num_groups = 2> (x, s, b) }',
  ],
  ['LRN', 'g (T[2,3,4,5] x) => (T[2,3,4,5] y) { y = LRN <size = 3> (x) }'],
  ['Clip', 'g (T[2,3] x, T lo) => (T[2,3] y) { y = Clip (x, lo) }'],
  ['Concat', 'g (T[2,3] x, T[2,3] z) => (T[4,3] y) { y = Concat <axis = 0> (x, z) }'],
  ['CumSum', 'g (T[2,3] x) => (T[2,3] y) <int32 a = {1}> { y = CumSum (x, a) }'],
  ['DepthToSpace', 'g (T[1,4,2,2] x) => (T[1,1,4,4] y) { y = DepthToSpace <blocksize = 2> (x) }'],
  ['SpaceToDepth', 'g (T[1,1,4,4] x) => (T[1,4,2,2] y) { y = SpaceToDepth <blocksize = 2> (x) }'],
  ['DFT', 'g (T[1,8,1] x) => (T[1,8,2] y) { y = DFT (x) }'],
  ['Einsum', 'g (T[2,3] x, T[3,4] z) => (T[2,4] y) { y = Einsum <equation = "ij,jk->ik"> (x, z) }'],
  ['Expand', 'g (T[3,1] x) => (T[3,4] y) <int64[2] s = {3, 4}> { y = Expand (x, s) }'],
  ['Flatten', 'g (T[2,3,4] x) => (T[2,12] y) { y = Flatten (x) }'],
  ['Gather', 'g (T[2,3] x, int64[2] i) => (T[2,3] y) { y = Gather (x, i) }'],
  ['GatherElements', 'g (T[2,3] x, int64[2,3] i) => (T[2,3] y) { y = GatherElements (x, i) }'],
  ['GatherND', 'g (T[2,3] x, int64[2,2] i) => (T[2] y) { y = GatherND (x, i) }'],
  ['Gemm', 'g (T[2,3] x, T[3,4] w, T[4] b) => (T[2,4] y) { y = Gemm (x, w, b) }'],
  [
    'GRU',
    'g (T[2,1,3] x, T[1,12,3] w, T[1,12,4] r) => (T[2,1,1,4] y) { y = GRU <hidden_size = 4> (x, w, r) }',
  ],
  [
    'LSTM',
    'g (T[2,1,3] x, T[1,16,3] w, T[1,16,4] r) => (T[2,1,1,4] y) { y = LSTM <hidden_size = 4> (x, w, r) }',
  ],
  ['MatMul', 'g (T[2,3] x, T[3,4] w) => (T[2,4] y) { y = MatMul (x, w) }'],
  ['NonZero', 'g (T[2,3] x) => (int64[2,N] y) { y = NonZero (x) }'],
  ['OneHot', 'g (int64[3] i, T[2] v) => (T[3,4] y) <int64 d = {4}> { y = OneHot (i, d, v) }'],
  ['Pad', 'g (T[2,3] x) => (T[4,5] y) <int64[4] p = {1, 1, 1, 1}> { y = Pad (x, p) }'],
  ['Range', 'g (T a, T b, T c) => (T[N] y) { y = Range (a, b, c) }'],
  ['Reshape', 'g (T[2,3] x, int64[2] s) => (T[A,B] y) { y = Reshape (x, s) }'],
  ['Resize', 'g (T[1,1,4,5] x) => (T[1,1,8,10] y) <float[4] s = {1, 1, 2, 2}> { y = Resize (x, "", s) }'],
  ['ScatterElements', 'g (T[2,3] x, int64[2,3] i, T[2,3] u) => (T[2,3] y) { y = ScatterElements (x, i, u) }'],
  ['ScatterND', 'g (T[2,3] x, int64[1,2] i, T[1] u) => (T[2,3] y) { y = ScatterND (x, i, u) }'],
  ['Shape', 'g (T[2,N] x) => (int64[2] y) { y = Shape (x) }'],
  ['Slice', 'g (T[4,3] x) => (T[2,3] y) <int64[1] s = {0}, int64[1] e = {2}> { y = Slice (x, s, e) }'],
  ['Split', 'g (T[4,3] x) => (T[2,3] y, T[2,3] z) { y, z = Split <num_outputs = 2> (x) }'],
  ['Squeeze', 'g (T[4,1] x) => (T[4] y) <int64[1] a = {1}> { y = Squeeze (x, a) }'],
  ['Unsqueeze', 'g (T[4] x) => (T[4,1] y) <int64[1] a = {1}> { y = Unsqueeze (x, a) }'],
  ['Tile', 'g (T[4] x) => (T[8] y) <int64[1] a = {2}> { y = Tile (x, a) }'],
  ['TopK', 'g (T[8] x) => (T[3] y, int64[3] i) <int64[1] k = {3}> { y, i = TopK (x, k) }'],
  ['Transpose', 'g (T[2,3] x) => (T[3,2] y) { y = Transpose (x) }'],
  ['Where', 'g (bool[2,3] c, T[2,3] x, T[2,3] z) => (T[2,3] y) { y = Where (c, x, z) }'],
  ['DequantizeLinear', 'g (T[2,3] x, float s) => (float[2,3] y) { y = DequantizeLinear (x, s) }'],
  ['Cast', 'g (T[2,3] x) => (float[2,3] y) { y = Cast <to = 1> (x) }'],
]);
