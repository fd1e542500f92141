/**
 * Whether the CPU's table is true: a small model for each row, every kernel made to pay, and ONNX Runtime asked what it
 * makes of it. A row that promises too much fails here before it fails a user's proof.
 */
import { expect } from 'chai';
import { cpuDynamicRows, cpuRows } from '../../targets/cpu-rows.js';
import { expectKept, type Quantized, quantized } from '../passes/quantizing.js';

/** `op` reads `a`, from a convolution over [2, 8, 8, 8], and gives `b`, which another one reads. */
const between = (op: string, more = '', channels = 8): string => `<ir_version: 10, opset_import: ["": 21]>
  g (float[N,8,8,8] x) => (y) <
    float[8,8,3,3] w = ["fill": "normal:1:0:0.12"], float[8,${channels},1,1] v = ["fill": "normal:3:0:0.35"]${more && `, ${more}`}
  > {
    [first] a = Conv <pads = [1, 1, 1, 1]> (x, w)
    ${op}
    [second] y = Conv (b, v)
  }`;

const CASES: Readonly<Record<string, readonly string[]>> = {
  Add: [
    between('[op] b = Add (a, x)'),
    between('[op] b = Add (a, a)'),
    between('[op] b = Add (k, a)', 'float k = {0.75}'),
  ],
  Mul: [
    between('[op] b = Mul (a, x)'),
    between('[op] b = Mul (a, k)', 'float[8,1,1] k = ["fill": "uniform:4:0.5:2"]'),
  ],
  Sigmoid: [between('[op] b = Sigmoid (a)')],
  LeakyRelu: [between('[op] b = LeakyRelu <alpha = 0.2> (a)')],
  // A channel apart from the others decides all of its row: probabilities of 1/8 would have three significant bits.
  Softmax: [between('[op] b = Softmax <axis = -1> (a)'), between('[op] b = Softmax <axis = 1> (a)')],
  ReduceMax: [
    between('[op] b = ReduceMax (a, over)', 'int64[2] over = {2, 3}'),
    between(
      '[op] c = ReduceMax <keepdims = 0> (a, over)\n[back] b = Unsqueeze (c, over)',
      'int64[1] over = {3}',
    ),
  ],
  ReduceMin: [between('[op] b = ReduceMin (a, over)', 'int64[1] over = {-1}')],
  Split: [
    between('[op] b, c = Split <axis = 1, num_outputs = 2> (a)\n[other] z = Conv (c, v)\n', '', 4).replace(
      '(y)',
      '(y, z)',
    ),
    between(
      '[op] c, d, e = Split <axis = 2> (a, sizes)\n[join] b = Concat <axis = 2> (e, c, d)',
      'int64[3] sizes = {1, 4, 3}',
    ),
  ],
  GlobalAveragePool: [between('[op] b = GlobalAveragePool (a)')],
  AveragePool: [
    between('[op] b = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (a)'),
    between(
      '[op] b = AveragePool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1], count_include_pad = 1> (a)',
    ),
    between(
      '[op] b = AveragePool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1], ceil_mode = 1> (a)',
    ),
    between('[op] b = AveragePool <kernel_shape = [3, 3], auto_pad = "SAME_LOWER"> (a)'),
  ],
  Concat: [
    between('[op] b = Concat <axis = 1> (a, x)', '', 16),
    between('[op] b = Concat <axis = -1> (a, a, x)'),
  ],
  Where: [between('[op] b = Where (c, a, x)', 'bool[8,1,1] c = {0, 1, 1, 0, 1, 0, 0, 1}')],
  MaxPool: [
    between('[op] b = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (a)'),
    between(
      '[op] b = MaxPool <kernel_shape = [3, 3], dilations = [2, 2], ceil_mode = 1, strides = [2, 2]> (a)',
    ),
  ],
  Reshape: [between('[op] b = Reshape (a, to)', 'int64[4] to = {0, 4, 16, 8}', 4)],
  Flatten: [
    `<ir_version: 10, opset_import: ["": 21]>
    g (float[N,8,4,4] x) => (float[N,6] y) <
      float[8,8,3,3] w = ["fill": "normal:1:0:0.12"], float[128,6] v = ["fill": "normal:3:0:0.1"], float[6] k = ["fill": "normal:4"]
    > {
      [first] a = Conv <pads = [1, 1, 1, 1]> (x, w)
      [op] b = Flatten (a)
      [second] y = Gemm (b, v, k)
    }`,
  ],
  Squeeze: [
    between('[op] c = Squeeze (a, last)\n[back] b = Unsqueeze (c, last)', 'int64[1] last = {0}').replaceAll(
      '[N,',
      '[1,',
    ),
  ],
  Unsqueeze: [between('[op] c = Unsqueeze (a, last)\n[back] b = Squeeze (c, last)', 'int64[1] last = {4}')],
  Transpose: [between('[op] b = Transpose <perm = [0, 1, 3, 2]> (a)')],
  Expand: [between('p = GlobalAveragePool (a)\n[op] b = Expand (p, to)', 'int64[4] to = {1, 1, 4, 4}')],
  Tile: [between('[op] b = Tile (a, times)', 'int64[4] times = {1, 1, 2, 1}')],
  Slice: [
    between(
      '[op] b = Slice (a, from, to, axes, steps)',
      [
        'int64[2] from = {1, 6}',
        'int64[2] to = {7, 1}',
        'int64[2] axes = {2, 3}',
        'int64[2] steps = {2, -1}',
      ].join(', '),
    ),
  ],
  Gather: [between('[op] b = Gather <axis = 2> (a, at)', 'int64[3] at = {5, 0, -1}')],
  GatherElements: [
    between('[op] b = GatherElements <axis = 3> (a, at)', 'int64[2,8,8,1] at = ["fill": "uniform:5:0:7"]'),
  ],
  DepthToSpace: [between('[op] b = DepthToSpace <blocksize = 2> (a)', '', 2)],
  Resize: [
    between(
      '[op] b = Resize <mode = "nearest", nearest_mode = "floor", coordinate_transformation_mode = "asymmetric"> (a, , scales)',
      'float[4] scales = {1, 1, 2, 2}',
    ),
    between('[op] b = Resize <mode = "nearest"> (a, , , sizes)', 'int64[4] sizes = {2, 8, 12, 5}'),
  ],
  Conv: [
    between(
      '[op] b = Conv <group = 8, dilations = [2, 2], strides = [2, 1]> (a, k)',
      'float[8,1,2,2] k = ["fill": "normal:4:0:0.5"]',
    ),
    between(
      '[op] b = Conv <auto_pad = "SAME_UPPER", group = 2> (a, k, c)',
      'float[8,4,3,3] k = ["fill": "normal:4:0:0.2"], float[8] c = ["fill": "normal:5"]',
    ),
    ...['8', '4,4,4'].map(
      (sizes) => `<ir_version: 10, opset_import: ["": 21]>
      g (float[N,4,${sizes}] x) => (y) <float[8,4${',3'.repeat(sizes.split(',').length)}] w = ["fill": "normal:1:0:0.2"]> { [op] y = Conv (x, w) }`,
    ),
  ],
  Gemm: [
    ...['float[6] c = ["fill": "normal:5"]', 'float[1,6] c = ["fill": "normal:5"]'].map(
      (bias) => `<ir_version: 10, opset_import: ["": 21]>
      g (float[N,32] x) => (float[N,6] y) <float[6,32] w = ["fill": "normal:1"], ${bias}> { [op] y = Gemm <transB = 1> (x, w, c) }`,
    ),
    `<ir_version: 10, opset_import: ["": 21]>
    g (float[N,32] x) => (float[N,1] y) <float[32,1] w = ["fill": "normal:1"], float c = {0.5}> { [op] y = Gemm (x, w, c) }`,
    `<ir_version: 10, opset_import: ["": 21]>
    g (float[N,32] x) => (float[N,6] y) <float[32,16] w = ["fill": "normal:1:0:0.2"], float[16] c = ["fill": "normal:5"], float[16,6] v = ["fill": "normal:6"]> {
      [op] a = Gemm (x, w, c)
      r = Relu (a)
      [second] y = Gemm (r, v)
    }`,
  ],
  MatMul: [
    `<ir_version: 10, opset_import: ["": 21]>
    g (float[N,3,32] x) => (float[N,3,6] y) <float[32,6] w = ["fill": "normal:1"]> { [op] y = MatMul (x, w) }`,
    `<ir_version: 10, opset_import: ["": 21]>
    g (float[32] x) => (float[6] y) <float[32,6] w = ["fill": "normal:1"]> { [op] y = MatMul (x, w) }`,
    `<ir_version: 10, opset_import: ["": 21]>
    g (float[N,3,32] x) => (float[N,3,6] y) <float[32,16] w = ["fill": "normal:1:0:0.2"], float[16,6] v = ["fill": "normal:6"]> {
      [op] a = MatMul (x, w)
      r = Relu (a)
      [second] y = MatMul (r, v)
    }`,
  ],
};

/** Nodes of the table are taken, whatever they are named. */
const taken = (made: Quantized, node: string): string =>
  `${made.row(node).precision} ${made.row(node).reason ?? ''}`.trim();

describe("the CPU's table", () => {
  it('has a case for every row', () => {
    const operators = [...new Set(cpuRows.map(({ op }) => op))].sort();
    expect(Object.keys(CASES).sort()).to.deep.equal(operators);
    expect([...new Set(cpuDynamicRows.map(({ op }) => op))].sort()).to.deep.equal([
      'Attention',
      'Gemm',
      'LSTM',
      'MatMul',
    ]);
  });

  for (const [op, texts] of Object.entries(CASES)) {
    texts.forEach((text, at) => {
      it(`is right about ${op}${at > 0 ? `, case ${at + 1}` : ''}`, async () => {
        const made = await quantized(text);
        expect(taken(made, 'op')).to.equal('int8');
        await expectKept(made, 24);
      });
    });
  }

  for (const op of ['Gemm', 'MatMul']) {
    CASES[op]!.forEach((text, at) => {
      it(`is right about dynamic ${op}, case ${at + 1}`, async () => {
        const made = await quantized(text, { precision: 'int8-dynamic' });
        expect(taken(made, 'op')).to.equal('int8-dynamic');
        await expectKept(made, 24);
      });
    });
  }

  const declined: readonly (readonly [name: string, text: string, reason: RegExp])[] = [
    [
      'a computed weight',
      between('[op] b = Conv (a, x)', '', 2).replace('[N,8,8,8]', '[2,8,1,1]'),
      /input 1 is not a constant/,
    ],
    [
      'a column for C',
      `<ir_version: 10, opset_import: ["": 21]>
      g (float[6,32] x) => (float[6,6] y) <float[32,6] w = ["fill": "normal:1"], float[6,1] c = ["fill": "normal:5"]> { [op] y = Gemm (x, w, c) }`,
      /C is \[6,1\]/,
    ],
    [
      'alpha',
      `<ir_version: 10, opset_import: ["": 21]>
      g (float[6,32] x) => (float[6,6] y) <float[32,6] w = ["fill": "normal:1"]> { [op] y = Gemm <alpha = 0.5> (x, w) }`,
      /alpha is 0.5, not 1/,
    ],
    [
      'a Resize that interpolates',
      between('[op] b = Resize <mode = "linear"> (a, , scales)', 'float[4] scales = {1, 1, 2, 2}'),
      /linear, not nearest/,
    ],
    [
      'indices of the largest',
      between('[op] b, i = MaxPool <kernel_shape = [2, 2]> (a)\nz = Cast <to = 1> (i)').replace(
        '=> (y)',
        '=> (y, z)',
      ),
      /more than one output/,
    ],
    [
      'dilations',
      between('[op] b = AveragePool <kernel_shape = [2, 2], dilations = [2, 2]> (a)'),
      /dilations/,
    ],
    [
      'dilations before a Relu',
      between('[op] c = AveragePool <kernel_shape = [2, 2], dilations = [2, 2]> (a)\nb = Relu (c)'),
      /dilations/,
    ],
    [
      'windows over the edge',
      between(
        '[op] b = AveragePool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1], ceil_mode = 1, count_include_pad = 1> (a)',
      ),
      /ceil_mode with count_include_pad/,
    ],
    ['an operator without a kernel', between('[op] b = Tanh (a)'), /no integer kernel for Tanh/],
  ];
  for (const [name, text, reason] of declined) {
    it(`declines ${name}, with the reason`, async () => {
      const made = await quantized(text);
      expect(made.row('op').precision).not.to.equal('int8');
      expect(made.row('op').reason).to.match(reason);
      await expectKept(made, 24);
    });
  }
});
