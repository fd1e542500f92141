/**
 * Small graphs in older opsets, at least one an adapter of `passes/upgrade-opset`: a name, the opset, the graph, and the
 * operators that it must hold afterwards, in order (Shape and constants included), where that is worth saying.
 */
export type OldGraph = readonly [name: string, opset: number, graph: string, operators?: string];

const batchNormalization = (attributes: string, shape = '2', outputs = 'y') => {
  const constants = ['s', 'b', 'm', 'v']
    .map((name, i) => `float[${shape}] ${name} = ["fill": "uniform:${i + 3}:0.5:2"]`)
    .join(', ');
  const [, ...more] = outputs.split(',').slice(0, 3);
  const declared = ['y', ...more.map((name) => name.trim())].map((name) => `float[] ${name}`).join(', ');
  return `g (float[2,2,3] x) => (${declared}) <${constants}> { ${outputs} = BatchNormalization${attributes}(x, s, b, m, v) }`;
};
const rows = (operator: string, shape: string, attributes = '') =>
  `g (float[${shape}] x) => (float[] y) { y = ${operator}${attributes}(x) }`;
const resize10 = (scales: string, mode: string) =>
  `g (float[1,1,6,5] x) => (float[] y) <float[4] s = {${scales}}> { y = Resize<mode="${mode}">(x, s) }`;
const resize11 = (attributes: string) =>
  `g (float[1,1,6,5] x) => (float[] y) <float[8] r = {0, 0, 0.1, 0.2, 1, 1, 0.8, 0.9}, float[4] s = {1, 1, 1.7, 0.6}> {
    y = Resize<${attributes}>(x, r, s) }`;
const recurrent = (operator: string, gates: number, outputs: string, attributes = '') =>
  `g (float[3,2,4] x) => (${outputs.replace(/\w+/g, 'float[] $&')}) <
    float[1,${5 * gates},4] w = ["fill": "normal:5"], float[1,${5 * gates},5] r = ["fill": "normal:6"]
  > { ${outputs} = ${operator}<hidden_size=5${attributes}>(x, w, r) }`;

export const OLD_GRAPHS: readonly OldGraph[] = [
  ['softmax over the tail', 12, rows('Softmax', '2,3,4'), 'Flatten Softmax Reshape'],
  ['softmax over the tail of unknown sizes', 11, rows('Softmax', 'N,3,M'), 'Flatten Shape Softmax Reshape'],
  [
    'softmax over the tail from the front',
    9,
    rows('LogSoftmax', '2,3,4', '<axis=0>'),
    'Flatten LogSoftmax Reshape',
  ],
  ['softmax along the last axis', 11, rows('Softmax', '2,3,4', '<axis=2>'), 'Softmax'],
  ['softmax along the last axis, negative', 11, rows('Softmax', '2,3,4', '<axis=-1>'), 'Softmax'],
  ['softmax from a negative axis', 11, rows('Softmax', '2,3,4', '<axis=-2>'), 'Flatten Softmax Reshape'],
  ['softmax of a pooled picture', 8, rows('Softmax', '2,5,1,1'), 'Softmax'],
  [
    'softmax that leaves the graph and is read',
    12,
    `g (float[2,3,4] x) => (float[] y, float[] z) { y = Softmax(x) z = Neg(y) }`,
  ],
  ['hardmax over the tail', 11, rows('Hardmax', '2,3,4'), 'Flatten Hardmax Reshape'],

  [
    'slice',
    9,
    `g (float[4,5] x) => (float[] y) { y = Slice<axes=[0,1], starts=[1,-3], ends=[9223372036854775807,-1]>(x) }`,
    'Slice',
  ],
  ['slice without axes', 7, `g (float[4,5] x) => (float[] y) { y = Slice<starts=[1], ends=[3]>(x) }`],
  [
    'pad with a value',
    10,
    `g (float[2,3] x) => (float[] y) { y = Pad<pads=[1,0,0,2], value=1.5>(x) }`,
    'Pad',
  ],
  ['pad with zeros', 7, `g (float[2,3] x) => (float[] y) { y = Pad<pads=[1,0,0,2]>(x) }`],
  ['pad by reflection', 9, `g (float[4,3] x) => (float[] y) { y = Pad<pads=[1,0,2,2], mode="reflect">(x) }`],
  ['pad that crops', 10, `g (float[4,3] x) => (float[] y) { y = Pad<pads=[1,-1,0,0], mode="edge">(x) }`],
  ['clip', 10, `g (float[9] x) => (float[] y) { y = Clip<min=-0.5, max=0.25>(x) }`, 'Clip'],
  ['clip from above', 7, `g (float[9] x) => (float[] y) { y = Clip<max=0.0>(x) }`],
  ['clip without limits', 6, `g (float[9] x) => (float[] y) { y = Clip(x) }`],
  [
    'split in parts',
    12,
    `g (float[4,6] x) => (float[] a, float[] b) { a, b = Split<axis=1, split=[2,4]>(x) }`,
    'Split',
  ],
  [
    'split evenly',
    12,
    `g (float[4,6] x) => (float[] a, float[] b, float[] c) { a, b, c = Split<axis=-1>(x) }`,
    'Split',
  ],
  [
    'split by an input',
    13,
    `g (float[4,6] x) => (float[] a, float[] b) <int64[2] s = {1, 3}> { a, b = Split(x, s) }`,
  ],
  ['split evenly by 17', 17, `g (float[4,6] x) => (float[] a, float[] b) { a, b = Split(x) }`],
  ['squeeze', 12, `g (float[1,3,1,2] x) => (float[] y) { y = Squeeze<axes=[0,2]>(x) }`],
  ['squeeze all', 11, `g (float[1,3,1,2] x) => (float[] y) { y = Squeeze(x) }`],
  ['unsqueeze', 11, `g (float[3,2] x) => (float[] y) { y = Unsqueeze<axes=[0,-1]>(x) }`],
  [
    'unsqueeze in branches',
    12,
    `g (bool c, float[3] x) => (float[] y) {
    y = If (c) <then_branch = t () => (a) { a = Unsqueeze<axes=[0]>(x) }, else_branch = e () => (b) { n = Neg(x) b = Unsqueeze<axes=[0]>(n) }> }`,
  ],
  ['top k', 9, `g (float[3,7] x) => (float[] v, int64[] i) { v, i = TopK<k=3>(x) }`],
  ['top k along an axis', 8, `g (float[4,3] x) => (float[] v, int64[] i) { v, i = TopK<k=2, axis=0>(x) }`],
  ...['L1', 'L2', 'LogSum', 'LogSumExp', 'Max', 'Mean', 'Min', 'Prod', 'Sum', 'SumSquare'].flatMap(
    (kind): OldGraph[] => [
      [
        `reduce ${kind}`,
        11,
        `g (float[2,3,4] x) => (float[] y) { a = Abs(x) y = Reduce${kind}<axes=[0,2], keepdims=0>(a) }`,
        `Abs Reduce${kind}`,
      ],
      [
        `reduce ${kind} of 17`,
        17,
        kind === 'Sum'
          ? `g (float[2,3,4] x) => (float[] y) <int64[1] i = {-1}> { y = ReduceSum(x, i) }`
          : `g (float[2,3,4] x) => (float[] y) { a = Abs(x) y = Reduce${kind}<axes=[-1]>(a) }`,
      ],
      [`reduce ${kind} over all`, 12, `g (float[2,3] x) => (float[] y) { a = Abs(x) y = Reduce${kind}(a) }`],
    ],
  ),
  ['dropout', 7, `g (float[5] x) => (float[] y) { y, mask = Dropout<ratio=0.3>(x) }`, 'Dropout'],
  ['dropout of 11', 11, `g (float[5] x) => (float[] y) { y = Dropout(x) }`],
  ['discrete Fourier transform', 17, `g (float[1,4,2,1] x) => (float[] y) { y = DFT(x) }`],
  ['inverse Fourier transform', 19, `g (float[1,4,3,2] x) => (float[] y) { y = DFT<axis=2, inverse=1>(x) }`],

  [
    'upsample',
    7,
    `g (float[1,1,2,3] x) => (float[] y) { y = Upsample<scales=[1.0, 1.0, 2.5, 1.7]>(x) }`,
    'Resize',
  ],
  [
    'upsample linearly',
    8,
    `g (float[1,1,2,3] x) => (float[] y) { y = Upsample<mode="linear", scales=[1.0, 1.0, 2.5, 1.7]>(x) }`,
  ],
  [
    'upsample by an input',
    9,
    `g (float[1,1,2,3] x) => (float[] y) <float[4] s = {1, 1, 2, 3}> { y = Upsample(x, s) }`,
  ],
  [
    'upsample by a computed input',
    9,
    `g (float[1,1,2,3] x) => (float[] y) <float[4] h = {0.5, 0.5, 1, 1.5}> { s = Add(h, h) y = Upsample<mode="nearest">(x, s) }`,
  ],
  ['resize up', 10, resize10('1, 1, 2, 1.5', 'nearest'), 'Resize'],
  ['resize down', 10, resize10('1, 1, 0.5, 0.6', 'nearest'), 'Resize'],
  ['resize up and down', 10, resize10('1, 1, 0.7, 2', 'nearest'), 'Resize Resize'],
  ['resize linearly', 10, resize10('1, 1, 0.7, 2', 'linear'), 'Resize'],
  ['resize from the corner', 11, resize11('coordinate_transformation_mode="asymmetric", mode="linear"')],
  ['resize by default', 11, resize11('mode="nearest"')],
  [
    'resize for nearest',
    11,
    resize11('coordinate_transformation_mode="tf_half_pixel_for_nn", nearest_mode="floor"'),
  ],
  [
    'resize and crop',
    12,
    resize11('coordinate_transformation_mode="tf_crop_and_resize", mode="linear", extrapolation_value=2.0'),
  ],
  ['resize by cubics', 12, resize11('coordinate_transformation_mode="align_corners", mode="cubic"')],
  [
    'resize to sizes',
    11,
    `g (float[1,1,6,5] x) => (float[] y) <float[0] none = {}, int64[4] z = {1, 1, 9, 3}> {
    y = Resize<coordinate_transformation_mode="pytorch_half_pixel", mode="linear">(x, none, none, z) }`,
  ],
  [
    'resize to sizes of 17',
    17,
    `g (float[1,1,6,5] x) => (float[] y) <int64[4] z = {1, 1, 9, 3}> { y = Resize(x, , , z) }`,
  ],

  ['batch normalization', 7, batchNormalization('')],
  ['batch normalization of 9', 9, batchNormalization('<epsilon=0.01>')],
  [
    'batch normalization by element',
    7,
    batchNormalization('<spatial=0>', '2,3'),
    'Flatten Reshape Reshape Reshape Reshape BatchNormalization Reshape',
  ],
  ['batch normalization in training', 9, batchNormalization('', '2', 'y, a, c, d, e')],
  [
    'instance normalization',
    7,
    `g (float[2,2,3] x) => (float[] y) <float[2] s = {1, 2}, float[2] b = {0, 1}> { y = InstanceNormalization(x, s, b) }`,
  ],
  [
    'group normalization',
    18,
    `g (float[2,6,4] x) => (float[] y) <float[3] s = {1, 2, 3}, float[3] b = {0, 1, -1}> { y = GroupNormalization<num_groups=3>(x, s, b) }`,
    'Reshape Expand Reshape Reshape Expand Reshape GroupNormalization',
  ],
  [
    'group normalization in halves',
    20,
    `g (float16[2,4,4] x) => (float16[] y) <float16[2] s = {1, 2}, float16[2] b = {0, 1}> { y = GroupNormalization<num_groups=2, epsilon=0.001>(x, s, b) }`,
  ],
  [
    'layer normalization',
    17,
    `g (float[2,6] x) => (float[] y) <float[6] s = ["fill": "normal:1"]> { y = LayerNormalization(x, s) }`,
  ],
  [
    'mean and variance normalization',
    9,
    `g (float[2,3,2,2] x) => (float[] y) { y = MeanVarianceNormalization(x) }`,
  ],
  ['local response normalization', 7, `g (float[1,5,2,2] x) => (float[] y) { y = LRN<size=3>(x) }`],

  [
    'scan of a batch',
    8,
    `g (float[2,2] i, float[2,3,2] x) => (float[] f, float[] o) {
    f, o = Scan<num_scan_inputs=1, body = b (float[2] a, float[2] c) => (float[2] d, float[2] e) { d = Add(a, c) e = Identity(d) }>(, i, x) }`,
    'Scan Scan Add Identity',
  ],
  [
    'scan of a batch, backwards',
    8,
    `g (float[2,2] i, float[2,3,2] x) => (float[] f, float[] o) {
    f, o = Scan<num_scan_inputs=1, directions=[1], body = b (float[2] a, float[2] c) => (float[2] d, float[2] e) { d = Add(a, c) e = Identity(d) }>(, i, x) }`,
  ],
  [
    'scan',
    9,
    `g (float[2] i, float[3,2] x) => (float[] f, float[] o) {
    f, o = Scan<num_scan_inputs=1, body = b (float[2] a, float[2] c) => (float[2] d, float[2] e) { d = Add(a, c) u = Unsqueeze<axes=[0]>(d) e = Squeeze<axes=[0]>(u) }>(i, x) }`,
  ],
  [
    'loop',
    8,
    `g (float[2] x) => (float[] y, float[] z) <int64 n = {3}, bool t = {1}> {
    y, z = Loop<body = b (int64 i, bool c, float[2] a) => (bool d, float[2] e, float[1,2] f) { d = Identity(c) e = Add(a, x) f = Unsqueeze<axes=[0]>(e) }>(n, t, x) }`,
  ],

  [
    'regions',
    10,
    `g (float[1,1,6,5] x) => (float[] y) <float[1,4] r = {0.5, 0.5, 4, 4}, int64[1] b = {0}> {
    y = RoiAlign<output_height=2, output_width=2>(x, r, b) }`,
  ],
  ['grid sample', 16, `g (float[1,1,3,3] x, float[1,2,2,2] g) => (float[] y) { y = GridSample(x, g) }`],
  [
    'grid sample by cubics',
    17,
    `g (float[1,1,3,3] x, float[1,2,2,2] g) => (float[] y) { y = GridSample<mode="bicubic", align_corners=1>(x, g) }`,
  ],
  [
    'grid sample by nearest',
    19,
    `g (float[1,1,3,3] x, float[1,2,2,2] g) => (float[] y) { y = GridSample<mode="nearest", padding_mode="border">(x, g) }`,
  ],
  [
    'scatter',
    9,
    `g (float[3,3] x, float[1,3] u) => (float[] y) <int64[1,3] i = {2, 0, 1}> { y = Scatter<axis=1>(x, i, u) }`,
    'ScatterElements',
  ],
  [
    'scatter elements',
    11,
    `g (float[3,3] x, float[1,3] u) => (float[] y) <int64[1,3] i = {2, 0, 1}> { y = ScatterElements(x, i, u) }`,
  ],
  [
    'scatter slices',
    16,
    `g (float[3,2] x, float[2,2] u) => (float[] y) <int64[2,1] i = {2, 2}> { y = ScatterND<reduction="add">(x, i, u) }`,
  ],
  ['gather', 7, `g (float[3,4] x) => (float[] y) <int64[2] i = {2, 0}> { y = Gather<axis=1>(x, i) }`],
  ['gather slices', 11, `g (float[3,4] x) => (float[] y) <int64[2,1] i = {2, -3}> { y = GatherND(x, i) }`],
  [
    'one hot',
    9,
    `g () => (float[] y) <int64[4] i = {-1, 0, 2, 3}, int64 d = {3}, float[2] v = {0, 1}> { y = OneHot(i, d, v) }`,
  ],
  [
    'quantize',
    10,
    `g (float[5] x) => (float[] y) <float s = {0.02}, uint8 z = {128}> { q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }`,
  ],
  [
    'quantize by axis',
    13,
    `g (float[2,3] x) => (float[] y) <float[2] s = {0.02, 0.1}, int8[2] z = {0, 0}> {
    q = QuantizeLinear<axis=0>(x, s, z) y = DequantizeLinear<axis=0>(q, s, z) }`,
  ],
  [
    'quantized product',
    10,
    `g (uint8[2,3] a) => (uint8[] y) <float s = {0.02}, uint8 z = {100}, uint8[3,2] b = {1, 200, 3, 4, 50, 6}> { y = QLinearMatMul(a, s, z, b, s, z, s, z) }`,
  ],
  ['erf', 9, `g (float[5] x) => (float[] y) { y = Erf(x) }`],
  ['cast', 9, `g (float[5] x) => (int32[] y) { y = Cast<to=6>(x) }`],

  [
    'average pool',
    7,
    `g (float[1,1,5,5] x) => (float[] y) { y = AveragePool<kernel_shape=[2,2], strides=[2,2], pads=[1,1,0,0], count_include_pad=1>(x) }`,
  ],
  [
    'average pool, rounded up',
    10,
    `g (float[1,1,5,5] x) => (float[] y) { y = AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,0,0], ceil_mode=1, count_include_pad=1>(x) }`,
  ],
  [
    'average pool, same size',
    11,
    `g (float[1,1,5,5] x) => (float[] y) { y = AveragePool<kernel_shape=[2,2], strides=[2,2], auto_pad="SAME_LOWER">(x) }`,
  ],
  [
    'max pool',
    8,
    `g (float[1,1,5,5] x) => (float[] y, int64[] i) { y, i = MaxPool<kernel_shape=[2,2], strides=[3,3], storage_order=1>(x) }`,
  ],
  [
    'max pool, rounded up',
    10,
    `g (float[1,1,5,5] x) => (float[] y) { y = MaxPool<kernel_shape=[2,2], strides=[3,3], pads=[1,1,1,1], ceil_mode=1>(x) }`,
  ],
  [
    'Lp pool',
    11,
    `g (float[1,1,5,5] x) => (float[] y) { y = LpPool<kernel_shape=[2,2], strides=[2,2], auto_pad="SAME_UPPER">(x) }`,
  ],
  [
    'convolution',
    7,
    `g (float[1,2,5,5] x) => (float[] y) <float[3,2,3,3] w = ["fill": "normal:2"]> { y = Conv<auto_pad="SAME_UPPER", strides=[2,2]>(x, w) }`,
  ],
  [
    'transposed convolution',
    7,
    `g (float[1,1,4] x) => (float[] y) <float[1,1,3] w = {1, 2, 3}> { y = ConvTranspose<auto_pad="SAME_LOWER", strides=[2], kernel_shape=[3]>(x, w) }`,
  ],
  [
    'transposed convolution to a shape',
    10,
    `g (float[1,1,4] x) => (float[] y) <float[1,1,3] w = {1, 2, 3}> { y = ConvTranspose<output_shape=[6], strides=[2]>(x, w) }`,
  ],
  ['gru', 7, recurrent('GRU', 3, 'y, h', ', linear_before_reset=1')],
  ['lstm', 7, recurrent('LSTM', 4, 'y, h, c')],
  ['rnn', 7, recurrent('RNN', 1, 'y, h')],
  [
    'gemm',
    7,
    `g (float[2,3] x) => (float[] y) <float[3,4] w = ["fill": "normal:1"], float[4] c = ["fill": "normal:2"]> { y = Gemm<alpha=0.5>(x, w, c) }`,
  ],
  ['prelu', 7, `g (float[2,3,4] x) => (float[] y) <float[3,1] s = {0.1, 0.2, 0.3}> { y = PRelu(x, s) }`],
  ['flatten', 7, `g (float[2,3,4] x) => (float[] y) { y = Flatten<axis=2>(x) }`],
  [
    'variadic',
    8,
    `g (float[2,3] x, float[3] z) => (float[] a, float[] b, float[] c, float[] d) { a = Max(x, z) b = Min(x, z) c = Mean(x, z) d = Sum(x, z) }`,
  ],
  [
    'arithmetic',
    7,
    `g (float[2,3] x, float[3] z) => (float[] y, bool[] c) { a = Abs(z) b = Div(x, a) p = Pow(a, a) s = Sub(b, p) y = Mul(s, x) c = Greater(y, x) }`,
  ],
  ['reshape', 7, `g (float[2,3,4] x) => (float[] y) <int64[3] s = {0, -1, 2}> { y = Reshape(x, s) }`],
  [
    'arg max',
    7,
    `g (float[2,3] x) => (int64[] y, int64[] z) { y = ArgMax<axis=1>(x) z = ArgMin<axis=0, keepdims=0>(x) }`,
  ],
  [
    'boxes',
    10,
    `g (float[1,4,4] b, float[1,1,4] s) => (int64[] y) <int64 m = {3}, float i = {0.5}> { y = NonMaxSuppression(b, s, m, i) }`,
  ],
  [
    'remainder',
    10,
    `g (int32[4] x, int32[4] z) => (int32[] y) <int32 one = {1}> { d = Add(z, one) y = Mod(x, d) }`,
  ],
  ['cumulative sum', 11, `g (float[2,3] x) => (float[] y) <int32 a = {1}> { y = CumSum(x, a) }`],
  ['depth to space', 9, `g (float[1,8,2,2] x) => (float[] y) { y = DepthToSpace<blocksize=2>(x) }`],
  [
    'identities',
    7,
    `g (float[2,3] x) => (float[] y) { a = Identity(x) b = Transpose(a) c = Concat<axis=0>(b, b) d = Relu(c) e = Sigmoid(d) y = Tanh(e) }`,
  ],
  ['constant', 7, `g (float[2] x) => (float[] y) { c = Constant<value = float[2] {1, 2}>() y = Add(x, c) }`],
  ['shape', 9, `g (float[2,N] x) => (int64[] y, int64[] z) { y = Shape(x) z = Size(x) }`],
  ['where', 9, `g (bool[3] c, float[3] x) => (float[] y) { n = Neg(x) y = Where(c, x, n) }`],
  ['expand', 8, `g (float[3,1] x) => (float[] y) <int64[2] s = {3, 4}> { y = Expand(x, s) }`],
  [
    'optionals',
    15,
    `g (float[2] x) => (float[] y) { o = Optional(x) h = OptionalHasElement(o) f = Cast<to=1>(h) e = OptionalGetElement(o) y = Add(e, f) }`,
  ],
];

/** Graphs from before opset 7, each with what it says in the words of 21. */
export const BEFORE_SEVEN: readonly (readonly [name: string, opset: number, graph: string, today: string])[] =
  [
    [
      'addition along an axis',
      6,
      'g (float[2,3,4] x, float[3] b) => (float[2,3,4] y) { y = Add<axis=1, broadcast=1>(x, b) }',
      'g (float[2,3,4] x, float[3] b) => (float[2,3,4] y) <int64[1] a = {1}> { c = Unsqueeze(b, a) y = Add(x, c) }',
    ],
    [
      'multiplication along the last axes',
      4,
      'g (float[2,3,4] x, float[3,4] b) => (float[2,3,4] y) { y = Mul<broadcast=1, consumed_inputs=[0,0]>(x, b) }',
      'g (float[2,3,4] x, float[3,4] b) => (float[2,3,4] y) { y = Mul(x, b) }',
    ],
    [
      'comparison along a negative axis',
      1,
      'g (float[2,3,4] x, float[3] b) => (bool[2,3,4] y) { y = Greater<axis=-2, broadcast=1>(x, b) }',
      'g (float[2,3,4] x, float[3] b) => (bool[2,3,4] y) <int64[1] a = {1}> { c = Unsqueeze(b, a) y = Greater(x, c) }',
    ],
    [
      'slopes of channels',
      6,
      'g (float[2,3,4] x) => (float[2,3,4] y) <float[3] s = {0.1, 0.2, 0.3}> { y = PRelu(x, s) }',
      'g (float[2,3,4] x) => (float[2,3,4] y) <float[3,1] s = {0.1, 0.2, 0.3}> { y = PRelu(x, s) }',
    ],
    [
      'inference that says so',
      6,
      'g (float[2,2] x) => (float[2,2] y) <float[2] s = {1, 2}> { b = BatchNormalization<is_test=1>(x, s, s, s, s) y = Dropout<is_test=1>(b) }',
      'g (float[2,2] x) => (float[2,2] y) <float[2] s = {1, 2}> { y = BatchNormalization(x, s, s, s, s) }',
    ],
    [
      'gemm',
      6,
      'g (float[2,3] x, float[3,4] w, float[4] c) => (float[2,4] y) { y = Gemm<broadcast=1>(x, w, c) }',
      'g (float[2,3] x, float[3,4] w, float[4] c) => (float[2,4] y) { y = Gemm(x, w, c) }',
    ],
    [
      'casts by name',
      5,
      'g (float[4] x) => (double[4] y) { y = Cast<to="DOUBLE">(x) }',
      'g (float[4] x) => (double[4] y) { y = Cast<to=11>(x) }',
    ],
    [
      'reshape by an attribute',
      4,
      'g (float[2,6] x) => (float[3,4] y) { y = Reshape<shape=[3,4], consumed_inputs=[0,0]>(x) }',
      'g (float[2,6] x) => (float[3,4] y) <int64[2] s = {3, 4}> { y = Reshape(x, s) }',
    ],
    [
      'tiles along an axis',
      5,
      'g (float[2,3] x) => (float[2,6] y) <float n = {2}, float a = {1}> { y = Tile(x, n, a) }',
      'g (float[2,3] x) => (float[2,6] y) <int64[2] r = {1, 2}> { y = Tile(x, r) }',
    ],
    [
      'concatenation without an axis, and paddings',
      1,
      'g (float[2,3] x) => (float[2,7] y) <float[2,6] c> { c = Concat(x, x) y = Pad<paddings=[0,0,0,1], value=2.0>(c) }',
      'g (float[2,3] x) => (float[2,7] y) <int64[4] p = {0, 0, 0, 1}, float v = {2}> { c = Concat<axis=1>(x, x) y = Pad(c, p, v) }',
    ],
    [
      'pools of a power in floats',
      1,
      'g (float[1,1,4,4] x) => (float[1,1,2,2] y) { y = LpPool<kernel_shape=[2,2], strides=[2,2], p=3.0>(x) }',
      'g (float[1,1,4,4] x) => (float[1,1,2,2] y) { y = LpPool<kernel_shape=[2,2], strides=[2,2], p=3>(x) }',
    ],
    [
      'selu with fewer digits',
      1,
      'g (float[4] x) => (float[4] y) { y = Selu(x) }',
      'g (float[4] x) => (float[4] y) { y = Selu<alpha=1.6732>(x) }',
    ],
    [
      'upsampling by height and width',
      1,
      'g (float[1,1,2,3] x) => (float[1,1,4,9] y) { y = Upsample<mode="bilinear", height_scale=2.0, width_scale=3.0>(x) }',
      'g (float[1,1,2,3] x) => (float[1,1,4,9] y) <float[4] s = {1, 1, 2, 3}> { y = Resize<mode="linear", coordinate_transformation_mode="asymmetric">(x, , s) }',
    ],
    [
      'split along the first axis',
      2,
      'g (float[4,2] x) => (float[1,2] a, float[3,2] b) { a, b = Split<split=[1,3]>(x) }',
      'g (float[4,2] x) => (float[1,2] a, float[3,2] b) <int64[2] s = {1, 3}> { a, b = Split(x, s) }',
    ],
    [
      'recurrence that asks for its sequence',
      6,
      'g (float[3,2,4] x) => (float[3,1,2,2] y) <float[1,2,4] w = ["fill": "normal:5"], float[1,2,2] r = ["fill": "normal:6"]> { y = RNN<hidden_size=2, output_sequence=1>(x, w, r) }',
      'g (float[3,2,4] x) => (float[3,1,2,2] y) <float[1,2,4] w = ["fill": "normal:5"], float[1,2,2] r = ["fill": "normal:6"]> { y = RNN<hidden_size=2>(x, w, r) }',
    ],
  ];
