import { expect } from 'chai';
import { watch } from '../../src/calibration/watch.js';
import {
  cloneModel,
  type Engine,
  encodeModel,
  Ledger,
  type Model,
  parseModel,
  runPipeline,
  targetFact,
  type WeightChoice,
  weightFact,
} from '../../src/index.js';
import { recipeFor } from '../../src/recipe.js';
import { compareOutputs } from '../../src/runtime/compare.js';
import { createEngine } from '../../src/runtime/engine.js';
import { type ProductOptions, withProducts } from '../../src/runtime/products.js';
import { inferTypes } from '../../src/runtime/types.js';
import { filledTensor } from '../../src/text/fill.js';
import { cpuX64Vnni } from '../../targets/cpu-x64.js';
import { memoryData } from '../calibration/memory-data.js';

/** Inputs that are alike, some of them large; a product behind another, and a norm that takes scales in. */
const TEXT = `<ir_version: 10, opset_import: ["": 21]> g (float[N,8] z) => (float[N,24] y) <
  float[8,64] spread = ["fill": "normal:1:0:1"], float[64] gamma = ["fill": "normal:2:0:3"],
  float[64] beta = ["fill": "normal:3:0:0.1"], float[64,64] w1 = ["fill": "normal:4:0:0.1"],
  float[64,24] w2 = ["fill": "normal:5:0:0.1"]
> {
  x = MatMul (z, spread)
  n = LayerNormalization <axis = -1> (x, gamma, beta)
  [first] a = MatMul (n, w1)
  b = Relu (a)
  [second] y = MatMul (b, w2)
}`;

/** More inputs than are summed and factored without an engine for products. */
const WIDE = `<ir_version: 10, opset_import: ["": 21]> g (float[N,8] z) => (float[N,16] y) <
  float[8,1100] spread = ["fill": "normal:1:0:1"], float[1100,16] w = ["fill": "normal:4:0:0.1"]
> {
  x = MatMul (z, spread)
  r = Relu (x)
  [wide] y = MatMul (r, w)
}`;

async function made(weights: Partial<WeightChoice>, text = TEXT, products?: ProductOptions) {
  const model = parseModel(text);
  await inferTypes(model);
  const before = cloneModel(model).model;
  const data = memoryData({ z: filledTensor('float', [256, 8], 'normal:9', 'z')! });
  const held = memoryData({ z: filledTensor('float', [64, 8], 'normal:10', 'z')! });
  const engine: Engine = {
    ...createEngine(),
    watch: (at, values, samples, see) => watch(at, values, data.first(samples * 4), see),
    ...(products && { withProducts: (use) => withProducts(products, use) }),
  };
  const facts = new Map<string, unknown>([['opset-21', true]]);
  targetFact.set({ facts }, { ...cpuX64Vnni, weightOnly: { ...cpuX64Vnni.weightOnly!, accuracyLevel: 1 } });
  weightFact.set({ facts }, { bits: 4, ...weights });
  const ledger = new Ledger();
  await runPipeline(model, recipeFor('int4').quantize, { engine, ledger, facts, verify: true });
  const session = { threads: 1 };
  const [output] = await compareOutputs(encodeModel(before), encodeModel(model), held, {
    reference: session,
    candidate: session,
  });
  return { sqnr: output!.sqnr, model, ledger };
}

describe('ways of rounding weights over samples', () => {
  let plain: number;
  before(async () => {
    plain = (await made({})).sqnr;
  });

  it('scales channels the same with an engine for large matrices and without', async () => {
    const [first, second] = await Promise.all(
      [undefined, { threads: 1, maxBytes: 1 << 28 }].map((products) =>
        made({ scaled: true, symmetric: true }, WIDE, products),
      ),
    );
    expect(first!.sqnr).to.be.above((await made({ symmetric: true }, WIDE)).sqnr);
    expect(Buffer.compare(encodeModel(first!.model), encodeModel(second!.model))).to.equal(0);
  });

  const ways: Readonly<Record<string, readonly [Partial<WeightChoice>, number]>> = {
    gptq: [{ together: 'always' }, 3],
    'gptq in sequence': [{ together: 'always', rounding: { sequential: true } }, 3],
    'gptq damped': [{ together: 'always', rounding: { damping: 0.1 } }, 2],
    adaround: [{ together: 'always', rounding: { adaptive: true } }, 1],
    awq: [{ scaled: true }, 0],
  };
  for (const [name, [weights, gain]] of Object.entries(ways)) {
    it(`${name} loses less than the nearest integers do, and makes the same bytes again`, async function () {
      this.timeout(60_000);
      const { sqnr, model } = await made(weights);
      expect(sqnr).to.be.above(plain + gain);
      expect(
        Buffer.from(encodeModel((await made(weights)).model)).equals(Buffer.from(encodeModel(model))),
      ).to.equal(true);
    });
  }

  describe('of wide products, by an engine for products of matrices', () => {
    const bytesOf = (model: Model): Buffer => Buffer.from(encodeModel(model));
    const wide = (maxBytes: number, threads: number) =>
      made({ together: 'always' }, WIDE, { maxBytes, threads });

    it('loses as little as without, with the same bytes for any number of threads', async function () {
      this.timeout(60_000);
      const without = await made({ together: 'always' }, WIDE);
      const one = await wide(1 << 30, 1);
      expect(one.sqnr).to.be.above(without.sqnr - 0.1);
      for (const threads of [2, 5])
        expect(bytesOf((await wide(1 << 30, threads)).model).equals(bytesOf(one.model))).to.equal(true);
      expect(one.ledger.notes.some(({ code }) => code === 'weights-parts')).to.equal(false);
    });

    it('takes inputs in parts where memory is short, and says so', async function () {
      this.timeout(60_000);
      const whole = await wide(1 << 30, 2);
      const parts = await wide(24 * 600 ** 2, 2);
      expect(parts.ledger.notes.find(({ code }) => code === 'weights-parts')!.message).to.match(
        /1100 elements are taken as 2 parts/,
      );
      expect(parts.sqnr).to.be.within((await made({}, WIDE)).sqnr, whole.sqnr);
    });
  });
});
