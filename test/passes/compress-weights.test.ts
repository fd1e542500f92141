import { expect } from 'chai';
import { encodeModel } from '../../src/index.js';
import { readKernels } from '../../src/runtime/kernels.js';
import { expectKept, type Quantized, quantized } from './quantizing.js';

const head = '<ir_version: 10, opset_import: ["": 21]>';
const weights = { precision: 'int8-weights' } as const;

/** What runs is the float graph: everything that was put in is computed while the model loads. */
async function expectFolded({ before, after }: Quantized): Promise<void> {
  const session = { threads: 1 };
  const [float, ours] = [await readKernels(before, session), await readKernels(after, session)];
  expect(Object.fromEntries(ours.counts)).to.deep.equal(Object.fromEntries(float.counts));
}

describe('compress-weights', () => {
  it('stores a quarter of the bytes, and runs as the float model', async () => {
    const made = await quantized(
      `${head}
      g (float[N,8,12,12] x) => (float[N,16] y) <
        float[16,8,3,3] w = ["fill": "normal:1:0:0.1"], float[16] b = ["fill": "normal:2"],
        float[16,16,2,2] t = ["fill": "normal:3:0:0.1"], float[16,16] u = ["fill": "normal:4"], float[16,16] v = ["fill": "normal:5"]
      > {
        [conv] a = Conv (x, w, b)
        [up] c = ConvTranspose (a, t)
        [pool] p = GlobalAveragePool (c)
        [flat] f = Flatten (p)
        [head] g1 = Gemm <transB = 1> (f, u)
        [product] y = MatMul (g1, v)
      }`,
      weights,
    );
    for (const node of ['conv', 'up', 'head', 'product'])
      expect(made.row(node).precision).to.equal('int8-weights');
    expect(made.row('conv')).to.include({ bytesBefore: 4608, bytesAfter: 1152 + 64 });
    expect(encodeModel(made.after).length).to.be.below(0.45 * encodeModel(made.before).length);
    await expectFolded(made);
    await expectKept(made, 35);
  });

  it('compresses recurrent networks and tables of embeddings', async () => {
    const made = await quantized(
      `${head}
      g (float[5,1,24] x, int64[6] words) => (float[5,1,1,32] y, float[6,32] rows) <
        float[1,96,24] w = ["fill": "normal:1:0:0.2"], float[1,96,32] r = ["fill": "normal:2:0:0.2"], float[40,32] table = ["fill": "normal:3"]
      > {
        [gates] y = GRU <hidden_size = 32> (x, w, r)
        [look] rows = Gather (table, words)
      }`,
      { ...weights, inputs: { words: 'uniform:9:0:30' } },
    );
    for (const node of ['gates', 'look']) expect(made.row(node).precision).to.equal('int8-weights');
    await expectFolded(made);
    await expectKept(made, 35);
  });

  it('stores a weight that two nodes share once', async () => {
    const made = await quantized(
      `${head}
      g (float[N,32] x) => (float[N,32] y) <float[32,32] w = ["fill": "normal:1:0:0.2"]> {
        [first] a = MatMul (x, w)
        [second] y = MatMul (a, w)
      }`,
      weights,
    );
    expect(made.count('Cast')).to.equal(1);
    expect([...made.after.graph.initializers].map(({ dtype }) => dtype).sort()).to.deep.equal([
      'float',
      'int8',
    ]);
    await expectKept(made, 30);
  });

  it('serves nodes of a subgraph from the graph that has the weight', async () => {
    const made = await quantized(
      `${head}
      g (float[8,32] x) => (float[8,32] y) <float[32,32] w = ["fill": "normal:1:0:0.2"]> {
        zero = Constant <value_float = 0.0> ()
        total = ReduceSum <keepdims = 0> (x)
        c = Greater (total, zero)
        y = If (c) <
          then_branch = t () => (float[8,32] a) { [inner] a = MatMul (x, w) },
          else_branch = e () => (float[8,32] b) <float[32,32] v = ["fill": "normal:2:0:0.2"]> { [other] b = MatMul (x, v) }
        >
      }`,
      weights,
    );
    for (const node of ['inner', 'other']) expect(made.row(node).precision).to.equal('int8-weights');
    await expectKept(made, 34);
  });

  it('leaves small constants, integers, computed weights, and what is excluded', async () => {
    const text = `${head}
      g (float[8,32] x, float[32,32] z) => (float[8,32] y, float[8,4] u, float[8,32] k) <
        float[32,4] small = ["fill": "normal:1"], float[32,32] kept = ["fill": "normal:2"]
      > {
        [computed] y = MatMul (x, z)
        [little] u = MatMul (x, small)
        [excluded] k = MatMul (x, kept)
      }`;
    const exclude = ({ name }: { name: string }) => (name === 'excluded' ? 'because' : undefined);
    const made = await quantized(text, { ...weights, exclude });
    for (const node of ['computed', 'little', 'excluded']) expect(made.row(node).precision).to.equal('float');
    await expectKept(made, Number.POSITIVE_INFINITY);
  });

  it('never stores more than there was', async () => {
    const made = await quantized(
      `${head}
      g (int64[6] words, float[N,1] x) => (float[6,1] rows, float[N,400] y) <
        float[400,1] thin = ["fill": "normal:1"], float[1,400] wide = ["fill": "normal:2"]
      > {
        [look] rows = Gather (thin, words)
        [product] y = MatMul (x, wide)
      }`,
      { ...weights, inputs: { words: 'uniform:9:0:30' } },
    );
    expect(encodeModel(made.after).length).to.be.at.most(encodeModel(made.before).length);
  });
});
