import { expect } from 'chai';
import { expectSame, scaled } from './scaling.js';

/** A convolution before and after what stands in the middle, so that there is a space of channels to scale. */
const between = (middle: string, more = '', first = '8'): string => `<ir_version: 10, opset_import: ["": 21]>
g (float[N,3,8,8] x) => (float[N,5,P,Q] y) <
  float[${first},3,3,3] w = ["fill": "normal:1"], float[${first}] b = ["fill": "normal:2"], float[5,8,1,1] v = ["fill": "normal:3"]${more}
> {
  a = Conv <pads = [1, 1, 1, 1]> (x, w, b)
  ${middle}
  y = Conv (m, v)
}`;

/** Products of tokens: x → MatMul → middle → MatMul. */
const tokens = (middle: string, more = ''): string => `<ir_version: 10, opset_import: ["": 21]>
g (float[N,4,6] x) => (float[N,T,5] y) <
  float[6,8] w = ["fill": "normal:1"], float[8,5] v = ["fill": "normal:3"]${more}
> {
  a = MatMul (x, w)
  ${middle}
  y = MatMul (m, v)
}`;

const COMMUTING: Readonly<Record<string, string>> = {
  nothing: between('m = Identity (a)'),
  Relu: between('m = Relu (a)'),
  LeakyRelu: between('m = LeakyRelu <alpha = 0.1> (a)'),
  'PRelu with a slope a channel': between('m = PRelu (a, s)', ', float[8,1,1] s = ["fill": "uniform:4:0:1"]'),
  pools: between(
    'p = MaxPool <kernel_shape = [2, 2]> (a)\n m = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (p)',
  ),
  GlobalAveragePool: between('m = GlobalAveragePool (a)'),
  'zeros and repeats around': between(
    'p = Pad (a, around)\n m = Pad <mode = "reflect"> (p, around)',
    ', int64[8] around = {0, 0, 1, 1, 0, 0, 1, 1}',
  ),
  'zeros beside channels': between(
    'm = Pad (a, beside)',
    ', int64[8] beside = {0, 2, 0, 0, 0, 1, 0, 0}',
    '5',
  ),
  Resize: between('m = Resize <mode = "linear"> (a, , scales)', ', float[4] scales = {1.0, 1.0, 2.0, 2.0}'),
  'a depthwise convolution': between(
    'm = Conv <group = 8, pads = [1, 1, 1, 1]> (a, d)',
    ', float[8,1,3,3] d = ["fill": "normal:5"]',
  ),
  'a grouped convolution': between(
    'r = Relu (a)\n m = Conv <group = 2> (r, d)',
    ', float[8,4,1,1] d = ["fill": "normal:5"]',
  ),
  'a transposed convolution': between(
    'm = ConvTranspose <group = 2> (a, d, e)',
    ', float[8,4,2,2] d = ["fill": "normal:5"], float[8] e = ["fill": "normal:6"]',
  ),
  'a constant added': between('c = Add (a, k)\n m = Relu (c)', ', float[1,8,1,1] k = ["fill": "normal:6"]'),
  'a number added': between('c = Sub (k, a)\n m = Relu (c)', ', float k = {0.7}'),
  'a constant a channel multiplied': between('m = Mul (a, k)', ', float[8,1,1] k = ["fill": "normal:6"]'),
  'a constant a channel divided by': between(
    'm = Div (a, k)',
    ', float[8,1,1] k = ["fill": "uniform:6:1:2"]',
  ),
  'a residual sum': between(
    'r = Relu (a)\n c = Conv (r, d)\n s = Add (c, a)\n m = Relu (s)',
    ', float[8,8,1,1] d = ["fill": "normal:5"]',
  ),
  'Concat of channels': between(
    'c = Conv (a, d)\n m = Concat <axis = 1> (c, a)',
    ', float[3,5,1,1] d = ["fill": "normal:5"]',
    '5',
  ),
  'Split of channels': between(
    'p, q = Split <axis = 1, num_outputs = 2> (a)\n r = Relu (p)\n m = Add (q, r)',
    '',
    '16',
  ),
  'a gate': between(
    'p = GlobalAveragePool (a)\n z = HardSigmoid (p)\n c = Conv (x, d)\n m = Mul (c, z)',
    ', float[8,3,1,1] d = ["fill": "normal:5"]',
  ),
  InstanceNormalization: between(
    'i = InstanceNormalization (a, k, l)\n m = Relu (i)',
    ', float[8] k = ["fill": "normal:6"], float[8] l = ["fill": "normal:7"]',
  ),
  'Slice of places': between(
    'm = Slice (a, s, e, t)',
    ', int64[2] s = {1, 1}, int64[2] e = {6, 6}, int64[2] t = {2, 3}',
  ),
  'ReduceMean over places': between('m = ReduceMean (a, t)', ', int64[2] t = {2, 3}'),
  'a normalization of tokens': tokens(
    'm = LayerNormalization (a, k, l)',
    ', float[8] k = ["fill": "normal:6"], float[8] l = ["fill": "normal:7"]',
  ),
  'a weighted root mean square': tokens(
    'n = Tanh (a)\n m = Mul (n, k)',
    ', float[8] k = ["fill": "normal:6"]',
  ),
  'a gated product': tokens(
    'u = MatMul (x, q)\n s = Sigmoid (a)\n g = Mul (a, s)\n m = Mul (g, u)',
    ', float[6,8] q = ["fill": "normal:5"]',
  ),
  'one token picked': tokens('p = Gather <axis = 1> (a, i)\n m = Relu (p)', ', int64[2] i = {3, 0}'),
  'heads of an attention': tokens(
    `h = Reshape (a, apart)
  t = Transpose <perm = [0, 2, 1, 3]> (h)
  z = MatMul (x, q)
  f = Reshape (z, square)
  p = Softmax (f)
  c = MatMul (p, t)
  u = Transpose <perm = [0, 2, 1, 3]> (c)
  m = Reshape (u, together)`,
    ', int64[4] apart = {0, 4, 2, 4}, int64[3] together = {0, 4, 8}, int64[4] square = {0, 2, 4, 4}, float[6,8] q = ["fill": "normal:5"]',
  ),
  'heads that several queries share': tokens(
    `h = Reshape (a, apart)
  t = Transpose <perm = [0, 2, 1, 3]> (h)
  o = Unsqueeze (t, two)
  e = Expand (o, again)
  s = Reshape (e, four)
  z = MatMul (x, q)
  f = Reshape (z, square)
  p = Softmax (f)
  c = MatMul (p, s)
  u = Transpose <perm = [0, 2, 1, 3]> (c)
  n = Reshape (u, together)
  m = MatMul (n, r)`,
    ', int64[4] apart = {0, 4, 2, 4}, int64[1] two = {2}, int64[5] again = {1, 2, 2, 4, 4}, int64[4] four = {0, 4, 4, 4}, int64[4] square = {0, 4, 4, 4}, int64[3] together = {0, 4, 16}, float[6,16] q = ["fill": "normal:5"], float[16,8] r = ["fill": "normal:8"]',
  ),
};

describe('channels that may be scaled', () => {
  for (const [name, text] of Object.entries(COMMUTING)) {
    it(`scales through ${name} without changing an answer`, async () => {
      const result = await scaled(text);
      expect(result.values).to.include('m');
      await expectSame(result);
    });
  }

  it('scales the long way round a flattened map, each channel for all of its places', async () => {
    const result = await scaled(`<ir_version: 10, opset_import: ["": 21]>
g (float[N,3,4,4] x) => (float[N,5] y) <float[8,3,3,3] w = ["fill": "normal:1"], float[32,5] v = ["fill": "normal:3"], float[5] c = ["fill": "normal:4"]> {
  a = Conv (x, w)
  f = Flatten (a)
  y = Gemm <alpha = 0.5, beta = 2.0> (f, v, c)
}`);
    expect([result.free, ...result.values]).to.deep.equal([8, 'a', 'f']);
    await expectSame(result);
  });

  const HELD: Readonly<Record<string, string>> = {
    'a Sigmoid': between('m = Sigmoid (a)'),
    'a HardSwish': between('m = HardSwish (a)'),
    'a Softmax of tokens': tokens('m = Softmax (a)'),
    'a square': between('m = Mul (a, a)'),
    'a Clip that does not start at 0': between('m = Clip (a, l, h)', ', float l = {-1.0}, float h = {6.0}'),
    'padding with ones': between(
      'm = Pad (a, around, one)',
      ', int64[8] around = {0, 0, 1, 1, 0, 0, 1, 1}, float one = {1.0}',
    ),
    DepthToSpace: between('m = DepthToSpace <blocksize = 2> (a)', '', '32'),
    'weights that another node reads too': between(
      'c = Conv (a, v)\n z = Conv (c, u)\n m = Sigmoid (z)',
      ', float[8,5,1,1] u = ["fill": "normal:9"]',
    ),
    'a sum with a Sigmoid': between('s = Sigmoid (a)\n m = Add (a, s)'),
    'one number for all channels beside them': between(
      'p = ReduceMean (a, t)\n m = Add (a, p)',
      ', int64[1] t = {1}',
    ),
  };
  for (const [name, text] of Object.entries(HELD)) {
    it(`scales nothing across ${name}`, async () => {
      const result = await scaled(text);
      expect(result.values).not.to.include('a');
      await expectSame(result);
    });
  }

  it('leaves alone what leaves the graph, and what a subgraph reads', async () => {
    const result = await scaled(`<ir_version: 10, opset_import: ["": 21]>
g (float[N,6] x, bool t) => (float[N,8] a, float[N,5] y, float[N,8] z) <float[6,8] w = ["fill": "normal:1"], float[8,8] u = ["fill": "normal:2"], float[8,5] v = ["fill": "normal:3"]> {
  a = MatMul (x, w)
  c = MatMul (a, u)
  y = MatMul (c, v)
  z = If (t) <
    then_branch = yes () => (float[N,8] p) { p = Identity (c) },
    else_branch = no () => (float[N,8] q) { q = Neg (c) }
  >
}`);
    expect(result.values).to.deep.equal([]);
  });
});
