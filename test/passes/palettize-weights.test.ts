import { expect } from 'chai';
import { type Model, nearestTo, PALETTE_BITS, type PaletteBits, paletteOf } from '../../src/index.js';
import { Tensor } from '../../src/ir/tensor.js';
import { readKernels } from '../../src/runtime/kernels.js';
import { withSession } from '../../src/runtime/session.js';
import { codeOf } from '../code-of.js';
import { expectKept, type Options, type Quantized, quantized } from './quantizing.js';

const head = '<ir_version: 10, opset_import: ["": 21]>';

/** 65 × 37 elements: the last word of no packing is full. */
const product = `${head}
  g (float[N,65] x) => (float[N,37] y) <float[65,37] w = ["fill": "normal:1:0:0.2"]> { [product] y = MatMul (x, w) }`;

const network = `${head}
  g (float[N,8,6,6] x) => (float[N,20] y) <
    float[32,8,3,3] w = ["fill": "normal:1:0:0.2"], float[32,1,3,3] d = ["fill": "normal:3:0:0.3"],
    float[20,128] u = ["fill": "normal:4:0:0.3"], float[32,128] v = ["fill": "normal:5:0:0.3"]
  > {
    [conv] a = Conv (x, w)
    [each] e = Conv <group = 32> (a, d)
    p = GlobalAveragePool (e)
    f = Flatten (p)
    [hidden] h = MatMul (f, v)
    r = Relu (h)
    [head] y = Gemm <transB = 1> (r, u)
  }`;

const palettized = (text: string, palettize: PaletteBits, options: Options = {}, paletteChannels?: number) =>
  quantized(text, {
    precision: 'float',
    compression: { palettize, ...(paletteChannels !== undefined && { paletteChannels }) },
    ...options,
  });

/** The weight of the product as ONNX Runtime looks it up. */
async function lookedUp(model: Model): Promise<Float32Array> {
  const identity = Float32Array.from({ length: 65 * 65 }, (_, at) => (at % 66 === 0 ? 1 : 0));
  const { y } = await withSession(model, { threads: 1 }, (session) =>
    session.run({ x: Tensor.of('float', [65, 65], identity) }),
  );
  return y!.toFloat32();
}

async function expectFolded({ before, after }: Quantized): Promise<void> {
  const session = { threads: 1 };
  const [float, ours] = [await readKernels(before, session), await readKernels(after, session)];
  expect(Object.fromEntries(ours.counts)).to.deep.equal(Object.fromEntries(float.counts));
}

const weightOf = (model: Model): Float32Array => [...model.graph.initializers][0]!.constant!.toFloat32();

describe('palettize-weights', () => {
  for (const bits of PALETTE_BITS) {
    it(`stores places of ${bits} bits that ONNX Runtime folds to just the palette's values`, async () => {
      const made = await palettized(product, bits);
      await expectFolded(made);
      const weight = weightOf(made.before);
      const { values } = paletteOf(weight, bits);
      const nearest = nearestTo(values);
      expect([...(await lookedUp(made.after))]).to.deep.equal(
        Array.from(weight, (value) => values[nearest(value)]!),
      );
      const stored = [...made.after.graph.initializers].reduce(
        (sum, { constant }) => sum + constant!.byteLength,
        0,
      );
      const { bytesAfter } = made.row('product');
      expect(stored - bytesAfter!).to.be.within(0, 100);
      expect(made.row('product').precision).to.equal(`palette-${bits}`);
    });
  }

  it('gives groups of output channels palettes of their own, along whichever axis they lie', async () => {
    const likeness = async (channels?: number): Promise<number> => {
      const made = await palettized(network, 3, {}, channels);
      await expectFolded(made);
      for (const node of ['conv', 'hidden', 'head']) expect(made.row(node).precision).to.equal('palette-3');
      expect(made.row('each').precision).to.equal('float');
      await expectKept(made, 8);
      const own = await palettized(product, 2, {}, channels);
      const [weight, back] = [weightOf(own.before), await lookedUp(own.after)];
      return weight.reduce((sum, value, at) => sum + (value - back[at]!) ** 2, 0);
    };
    const [alone, few] = [await likeness(1), await likeness(10)];
    expect(few).to.be.below(0.99 * (await likeness()));
    expect(alone).to.be.below(0.9 * few);
  });

  it('keeps weights of few values as they are, and zeros that pruning made', async () => {
    const few = await palettized(
      product.replace('["fill": "normal:1:0:0.2"]', '["fill": "constant:0.3"]'),
      1,
    );
    expect([...(await lookedUp(few.after))].every((value) => value === Math.fround(0.3))).to.equal(true);
    expect(few.row('product').reason).to.contain('its own values');
    const both = await palettized(product, 2, { compression: { palettize: 2, prune: 'magnitude:60%' } });
    const back = await lookedUp(both.after);
    expect(back.filter((value) => value === 0).length).to.be.at.least(Math.floor(0.6 * back.length));
  });

  it('chooses values by what errors cost, where samples tell, and says why where they do not', async () => {
    const made = await palettized(network, 2, { watched: true });
    expect(made.row('conv').reason).to.contain('by what errors cost');
    const plain = await palettized(
      network.replace('=> (float[N,20] y)', '=> (float[N,20] y, float[N,32] f)'),
      2,
      {
        watched: true,
      },
    );
    expect(plain.row('conv').reason).to.contain('by squared errors');
    expect(plain.ledger.notes.map(({ code }) => code)).to.include('palette-plain');
  });

  it('halves the palette of a model in 16 bits', async () => {
    const made = await palettized(network, 4, {
      precision: 'fp16',
      half: { dtype: 'float16', interfaces: false },
    });
    await expectKept(made, 15);
  });

  it('leaves weights that are not finite, and precisions with grids of their own', async () => {
    const elements = ['nan', ...new Array(65 * 37 - 1).fill('0.1')].join(', ');
    const bad = await palettized(product.replace('["fill": "normal:1:0:0.2"]', `{${elements}}`), 4);
    expect(bad.row('product').precision).to.equal('float');
    for (const precision of ['int4', 'int8', 'bf16'] as const)
      expect(await codeOf(() => palettized(product, 4, { precision }))).to.equal('E_PALETTE_PRECISION');
    expect(await codeOf(() => palettized(product, 4, { compression: { paletteChannels: 4 } }))).to.equal(
      'E_PALETTE_CHANNELS',
    );
    expect(await codeOf(() => palettized(product, 4, {}, 0))).to.equal('E_PALETTE_CHANNELS');
  });
});
