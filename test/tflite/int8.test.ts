/** Every operator in int8: LiteRT answers as ONNX Runtime does, to within one step of the output's grid. */
import { expect } from 'chai';
import { runBeside } from './beside.js';

interface Case {
  readonly name: string;
  /** Between `x_q` dequantized (`x`) and `y`; weights are in `constants`. */
  readonly body: string;
  readonly from: string;
  readonly to: string;
  readonly constants?: string;
  /** Scale and zero point of what comes out. */
  readonly grid?: readonly [number, number];
  readonly ops?: readonly string[];
  /** Steps that answers may lie apart; 1 where nothing is said. */
  readonly steps?: number;
}

/** Q and DQ around a body: x is quantized on a grid over −2 … 2, y on its own. */
const graph = ({ body, from, to, constants = '', grid = [4 / 255, 0] }: Case): string => `
  g (float[${from}] input) => (float[${to}] output) <
    float sx = {${4 / 255}}, int8 zx = {0}, float sy = {${grid[0]}}, int8 zy = {${grid[1]}}${constants && `, ${constants}`}
  > {
    x_q = QuantizeLinear (input, sx, zx)
    x = DequantizeLinear (x_q, sx, zx)
    ${body}
    y_q = QuantizeLinear (y, sy, zy)
    output = DequantizeLinear (y_q, sy, zy)
  }`;

const BORDER = ['QUANTIZE', 'DEQUANTIZE'] as const;
const weight = (shape: string, count: number): string =>
  `int8[${shape}] w_q = ["fill": "uniform:3:-127:127"], float[${count}] ws = ["fill": "uniform:4:0.002:0.01"], int8[${count}] wz = {${Array(count).fill(0)}}, int32[${count}] b_q = ["fill": "uniform:5:-500:500"]`;
const widen = (axis: number): string => `
    w = DequantizeLinear <axis = ${axis}> (w_q, ws, wz)
    bs = Mul (sx, ws)
    b = DequantizeLinear <axis = 0> (b_q, bs)`;

const CASES: readonly Case[] = [
  {
    name: 'Conv',
    from: '1,3,8,8',
    to: '1,4,4,4',
    constants: weight('4,3,3,3', 4),
    grid: [0.1, -10],
    body: `${widen(0)} y = Conv <strides = [2,2], pads = [1,1,1,1]> (x, w, b)`,
    ops: ['PAD', 'CONV_2D'],
  },
  {
    name: 'Conv and a Relu that the grid does',
    from: '1,3,8,8',
    to: '1,4,8,8',
    constants: weight('4,3,3,3', 4),
    grid: [0.06, -128],
    body: `${widen(0)} c = Conv <pads = [1,1,1,1]> (x, w, b) y = Relu (c)`,
    ops: ['CONV_2D'],
  },
  {
    name: 'Conv and a Clip that the grid does',
    from: '1,3,8,8',
    to: '1,4,8,8',
    constants: `${weight('4,3,3,3', 4)}, float lo = {0.0}, float hi = {5.1}`,
    grid: [0.02, -128],
    body: `${widen(0)} c = Conv <pads = [1,1,1,1]> (x, w, b) y = Clip (c, lo, hi)`,
    ops: ['CONV_2D'],
  },
  {
    name: 'Conv of each channel',
    from: '1,4,8,8',
    to: '1,4,8,8',
    constants: weight('4,1,3,3', 4),
    grid: [0.06, 3],
    body: `${widen(0)} y = Conv <pads = [1,1,1,1], group = 4> (x, w, b)`,
    ops: ['DEPTHWISE_CONV_2D'],
  },
  {
    name: 'ConvTranspose',
    from: '1,3,5,5',
    to: '1,2,10,10',
    constants: weight('3,2,4,4', 2),
    grid: [0.1, 3],
    body: `${widen(1)} y = ConvTranspose <strides = [2,2], pads = [1,1,1,1]> (x, w, b)`,
    ops: ['TRANSPOSE_CONV'],
  },
  {
    name: 'Gemm',
    from: '2,6',
    to: '2,4',
    constants: weight('4,6', 4),
    grid: [0.06, 3],
    body: `${widen(0)} y = Gemm <transB = 1> (x, w, b)`,
    ops: ['FULLY_CONNECTED'],
  },
  {
    name: 'MatMul',
    from: '1,3,6',
    to: '1,3,4',
    constants: weight('6,4', 4),
    grid: [0.06, 3],
    body: 'w = DequantizeLinear <axis = 1> (w_q, ws, wz) y = MatMul (x, w)',
    ops: ['FULLY_CONNECTED'],
  },
  {
    name: 'MatMul of two activations',
    from: '1,3,3',
    to: '1,3,3',
    grid: [0.06, 3],
    body: 'y = MatMul (x, x)',
    ops: ['BATCH_MATMUL'],
  },
  {
    name: 'MaxPool with padding',
    from: '1,3,8,8',
    to: '1,3,4,4',
    body: 'y = MaxPool <kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]> (x)',
    steps: 0,
  },
  {
    name: 'AveragePool',
    from: '1,3,8,8',
    to: '1,3,4,4',
    body: 'y = AveragePool <kernel_shape = [2,2], strides = [2,2]> (x)',
    ops: ['AVERAGE_POOL_2D'],
  },
  {
    name: 'AveragePool onto another grid',
    from: '1,3,8,8',
    to: '1,3,4,4',
    grid: [0.012, 5],
    body: 'y = AveragePool <kernel_shape = [2,2], strides = [2,2]> (x)',
    ops: ['AVERAGE_POOL_2D', 'QUANTIZE'],
  },
  {
    name: 'AveragePool over the whole image',
    from: '1,3,8,8',
    to: '1,3,1,1',
    grid: [0.002, 5],
    body: 'y = AveragePool <kernel_shape = [8,8]> (x)',
    ops: ['MEAN'],
    steps: 8,
  },
  {
    name: 'GlobalAveragePool',
    from: '1,3,8,8',
    to: '1,3,1,1',
    grid: [0.002, 5],
    body: 'y = GlobalAveragePool (x)',
    steps: 8,
  },
  {
    name: 'ReduceMean, ReduceSum, ReduceMax',
    from: '1,3,4',
    to: '1,3',
    grid: [0.03, 5],
    constants: 'int64[1] a = {2}',
    body: 's = ReduceSum <keepdims = 0> (x, a) y = Identity (s)',
  },
  {
    name: 'Add, a constant a channel',
    from: '1,3,4,4',
    to: '1,3,4,4',
    grid: [0.03, 5],
    constants: 'int8[3,1,1] k_q = {-100, 20, 90}, float ks = {0.01}, int8 kz = {-3}',
    body: 'k = DequantizeLinear (k_q, ks, kz) y = Add (x, k)',
    ops: ['ADD'],
  },
  {
    name: 'Add and Relu',
    from: '1,6',
    to: '1,6',
    grid: [0.02, -100],
    body: 'a = Add (x, x) y = Relu (a)',
    ops: ['ADD'],
  },
  {
    name: 'Sub',
    from: '1,6',
    to: '1,6',
    grid: [0.02, 4],
    constants: 'int8 k_q = {50}, float ks = {0.01}, int8 kz = {0}',
    body: 'k = DequantizeLinear (k_q, ks, kz) y = Sub (k, x)',
    ops: ['SUB'],
  },
  { name: 'Mul', from: '1,6', to: '1,6', grid: [0.02, -128], body: 'y = Mul (x, x)', ops: ['MUL'] },
  {
    name: 'Max and Min',
    from: '1,6',
    to: '1,6',
    grid: [0.01, 0],
    constants: 'int8 k_q = {50}, float ks = {0.01}, int8 kz = {0}',
    body: 'k = DequantizeLinear (k_q, ks, kz) y = Max (x, k)',
    ops: ['QUANTIZE', 'MAXIMUM'],
  },
  { name: 'Relu', from: '1,6', to: '1,6', grid: [0.008, -128], body: 'y = Relu (x)', ops: ['QUANTIZE'] },
  {
    name: 'Relu onto a grid that goes below zero',
    from: '1,6',
    to: '1,6',
    grid: [0.016, -3],
    body: 'y = Relu (x)',
    ops: ['RELU'],
  },
  {
    name: 'Clip of other bounds',
    from: '1,6',
    to: '1,6',
    grid: [0.016, -3],
    constants: 'float lo = {-1.0}, float hi = {0.5}',
    body: 'y = Clip (x, lo, hi)',
    ops: ['MAXIMUM', 'MINIMUM', 'QUANTIZE'],
    steps: 2,
  },
  {
    name: 'Sigmoid',
    from: '1,6',
    to: '1,6',
    grid: [1 / 256, -128],
    body: 'y = Sigmoid (x)',
    ops: ['LOGISTIC'],
  },
  {
    name: 'Sigmoid onto another grid',
    from: '1,6',
    to: '1,6',
    grid: [0.005, -120],
    body: 'y = Sigmoid (x)',
    ops: ['LOGISTIC', 'QUANTIZE'],
  },
  { name: 'Tanh', from: '1,6', to: '1,6', grid: [1 / 128, 0], body: 'y = Tanh (x)', ops: ['TANH'] },
  {
    name: 'Softmax',
    from: '1,6',
    to: '1,6',
    grid: [1 / 256, -128],
    body: 'y = Softmax (x)',
    ops: ['SOFTMAX'],
  },
  {
    name: 'HardSwish',
    from: '1,6',
    to: '1,6',
    grid: [0.009, -90],
    body: 'y = HardSwish (x)',
    ops: ['HARD_SWISH'],
  },
  {
    name: 'HardSigmoid',
    from: '1,6',
    to: '1,6',
    grid: [1 / 256, -128],
    body: 'y = HardSigmoid <alpha = 0.16666667> (x)',
    ops: ['ADD', 'MUL'],
    steps: 3,
  },
  {
    name: 'LeakyRelu',
    from: '1,6',
    to: '1,6',
    grid: [0.01, -90],
    body: 'y = LeakyRelu <alpha = 0.1> (x)',
    ops: ['LEAKY_RELU'],
  },
  {
    name: 'PRelu',
    from: '1,3,2,2',
    to: '1,3,2,2',
    grid: [0.012, -60],
    constants: 'float[3,1,1] s = {0.1, 0.25, 0.5}',
    body: 'y = PRelu (x, s)',
    ops: ['PRELU'],
  },
  {
    name: 'Concat of two grids',
    from: '1,3,4,4',
    to: '1,6,4,4',
    grid: [0.03, 2],
    body: 'a = Add (x, x) a_q = QuantizeLinear (a, sy, zy) d = DequantizeLinear (a_q, sy, zy) y = Concat <axis = 1> (d, x)',
    ops: ['ADD', 'QUANTIZE', 'CONCATENATION'],
  },
  {
    name: 'movement: Transpose, Reshape, Slice, Pad, Gather',
    from: '1,3,4,4',
    to: '1,2,18',
    steps: 0,
    constants:
      'int64[3] s = {1,16,3}, int64[3] from = {0,1,0}, int64[3] till = {1,15,3}, int64[6] p = {0,2,0,0,2,0}, int64[2] i = {2,0}',
    body: `t = Transpose <perm = [0,2,3,1]> (x) t_q = QuantizeLinear (t, sx, zx) td = DequantizeLinear (t_q, sx, zx)
           r = Reshape (td, s) r_q = QuantizeLinear (r, sx, zx) rd = DequantizeLinear (r_q, sx, zx)
           l = Slice (rd, from, till) l_q = QuantizeLinear (l, sx, zx) ld = DequantizeLinear (l_q, sx, zx)
           d = Pad (ld, p) d_q = QuantizeLinear (d, sx, zx) dd = DequantizeLinear (d_q, sx, zx)
           u = Transpose <perm = [0,2,1]> (dd) u_q = QuantizeLinear (u, sx, zx) ud = DequantizeLinear (u_q, sx, zx)
           y = Gather <axis = 1> (ud, i)`,
  },
  {
    name: 'Split',
    from: '1,6,2,2',
    to: '1,3,2,2',
    steps: 1,
    grid: [0.03, 0],
    body: `p, q = Split <axis = 1, num_outputs = 2> (x) p_q = QuantizeLinear (p, sx, zx) pd = DequantizeLinear (p_q, sx, zx)
           q_q = QuantizeLinear (q, sx, zx) qd = DequantizeLinear (q_q, sx, zx) y = Add (pd, qd)`,
    ops: ['SLICE', 'SLICE', 'ADD'],
  },
  {
    name: 'Resize, nearest',
    from: '1,3,4,4',
    to: '1,3,8,8',
    steps: 0,
    constants: 'float[4] s = {1,1,2,2}',
    body: 'y = Resize <mode = "nearest"> (x, , s)',
    ops: ['RESIZE_NEAREST_NEIGHBOR'],
  },
  {
    name: 'Resize, linear',
    from: '1,3,4,4',
    to: '1,3,8,8',
    constants: 'float[4] s = {1,1,2,2}',
    body: 'y = Resize <mode = "linear"> (x, , s)',
    ops: ['RESIZE_BILINEAR'],
  },
  {
    name: 'DepthToSpace, columns first',
    from: '1,8,2,2',
    to: '1,2,4,4',
    steps: 0,
    body: 'y = DepthToSpace <blocksize = 2, mode = "CRD"> (x)',
    ops: ['GATHER', 'DEPTH_TO_SPACE'],
  },
  {
    name: 'an operator without integers between them',
    from: '1,6',
    to: '1,6',
    grid: [0.03, -128],
    body: 'y = Exp (x)',
    ops: ['DEQUANTIZE', 'EXP', 'QUANTIZE'],
  },
];

describe('tflite in int8', () => {
  for (const each of CASES) {
    it(each.name, async () => {
      const found = await runBeside(graph(each));
      const step = (each.grid ?? [4 / 255])[0];
      expect(found.difference / step, found.ops.join()).to.be.at.most((each.steps ?? 1) + 0.01);
      if (each.ops) expect(found.ops).to.deep.equal([BORDER[0], ...each.ops, BORDER[1]]);
    });
  }

  it('reads uint8 as int8', async () => {
    const text = graph(CASES[1]!)
      .replace('int8 zx = {0}', 'uint8 zx = {128}')
      .replace('int8 zy = {-128}', 'uint8 zy = {0}');
    const found = await runBeside(text);
    expect(found.difference / 0.06).to.be.at.most(1.01);
    expect(found.ops).to.deep.equal(['QUANTIZE', 'CONV_2D', 'DEQUANTIZE']);
  });
});
