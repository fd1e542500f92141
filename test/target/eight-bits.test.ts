import { expect } from 'chai';
import { parseModel } from '../../src/index.js';
import { inferTypes } from '../../src/runtime/types.js';
import { beyondEightBits } from '../../src/target/eight-bits.js';

const head = '<ir_version: 10, opset_import: ["": 21]>';

/** Names of the nodes that 8 bits do not serve. */
async function beyond(text: string): Promise<string[]> {
  const model = parseModel(`${head} ${text}`);
  await inferTypes(model);
  return [...model.graph.nodes()]
    .filter((node) => beyondEightBits(node) !== undefined)
    .map(({ name }) => name);
}

describe('what 8 bits do not hold', () => {
  it('is the last product in front of scores, the means it reads, and what stands behind', async () => {
    const found = await beyond(`g (float[1,4,8,8] x) => (float[1,6] y)
      <float[8,4,3,3] w = ["fill": "normal:1"], float[6,8] u = ["fill": "normal:2"]> {
      [conv] a = Conv (x, w)
      [mean] m = GlobalAveragePool (a)
      [flat] f = Flatten (m)
      [product] s = Gemm <transB = 1> (f, u)
      [share] y = Softmax (s)
    }`);
    expect(found).to.deep.equal(['mean', 'flat', 'product', 'share']);
  });

  it('is what sums few products, with a bias beside', async () => {
    const found = await beyond(`g (float[1,8,8,8] x) => (float[1,8,4,4] y)
      <float[8,1,3,3] w = ["fill": "normal:1"], float[8] b = ["fill": "normal:2"]> {
      [few] a = Conv <group = 8> (x, w, b)
      [bare] y = Conv <group = 8> (a, w)
    }`);
    expect(found).to.deep.equal(['few']);
  });

  it('is not what makes an image', async () => {
    const found =
      await beyond(`g (float[1,4,8,8] x) => (float[1,8,6,6] y) <float[8,4,3,3] w = ["fill": "normal:1"]> {
      [conv] a = Conv (x, w)
      [relu] y = Relu (a)
    }`);
    expect(found).to.deep.equal([]);
  });

  it('is not what somebody quantized before', async () => {
    const found = await beyond(`g (float[1,8] x) => (float[1,6] y)
      <float[8,6] u = ["fill": "normal:2"], float s = {0.1}> {
      [product] p = MatMul (x, u)
      [steps] d = Div (p, s)
      [round] r = Round (d)
      [back] y = Mul (r, s)
    }`);
    expect(found).to.deep.equal([]);
  });

  it('is a spectrogram up to its logarithm', async () => {
    const found = await beyond(`g (float[1,64] x) => (float[1,9,9] y)
      <int64[3] shape = {1, 4, 16}, float[16,9] w = ["fill": "normal:1"], float least = {0.001},
       float[4,9] u = ["fill": "normal:2"], float[9,9] v = ["fill": "normal:3"]> {
      [cut] f = Reshape (x, shape)
      [waves] p = MatMul (f, w)
      [size] a = Abs (p)
      [bound] c = Clip (a, least)
      [log] l = Log (c)
      [other] t = Transpose <perm = [0, 2, 1]> (l)
      [behind] y = MatMul (t, u)
    }`);
    expect(found).to.deep.equal(['cut', 'waves', 'size', 'bound', 'log']);
  });

  it('is the cube in a GELU of pieces, whichever way it is multiplied, but no other Tanh', async () => {
    const gelu = (cube: string) => `g (float[2,8,9] x) => (float[2,8,9] y)
      <float c = {0.044715}, float d = {0.797885}, float one = {1}, float half = {0.5}> {
      ${cube}
      [sum] s = Add (x, k)
      [scale] t = Mul (d, s)
      [tanh] h = Tanh (t)
      [more] m = Add (one, h)
      [part] p = Mul (half, m)
      [gelu] y = Mul (x, p)
    }`;
    const rest = ['sum', 'scale', 'tanh', 'more', 'part', 'gelu'];
    expect(await beyond(gelu('[a] q = Mul (x, x) [b] r = Mul (q, x) [c] k = Mul (c, r)'))).to.deep.equal([
      'a',
      'b',
      'c',
      ...rest,
    ]);
    expect(await beyond(gelu('[a] q = Mul (c, x) [b] r = Mul (x, q) [c] k = Mul (x, r)'))).to.include('tanh');
    expect(
      await beyond('g (float[2,8,9] x) => (float[2,8,9] y) { [a] h = Add (x, x) [b] y = Tanh (h) }'),
    ).to.deep.equal([]);
  });
});
