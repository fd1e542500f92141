import { expect } from 'chai';
import { watch } from '../../src/calibration/watch.js';
import {
  cloneModel,
  type Engine,
  encodeModel,
  Ledger,
  parseModel,
  runPipeline,
  targetFact,
  type WeightChoice,
  weightFact,
} from '../../src/index.js';
import { recipeFor } from '../../src/recipe.js';
import { compareOutputs } from '../../src/runtime/compare.js';
import { createEngine } from '../../src/runtime/engine.js';
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

async function made(weights: Partial<WeightChoice>) {
  const model = parseModel(TEXT);
  await inferTypes(model);
  const before = cloneModel(model).model;
  const data = memoryData({ z: filledTensor('float', [256, 8], 'normal:9', 'z')! });
  const held = memoryData({ z: filledTensor('float', [64, 8], 'normal:10', 'z')! });
  const engine: Engine = {
    ...createEngine(),
    watch: (at, values, samples, see) => watch(at, values, data.first(samples * 4), see),
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
  return { sqnr: output!.sqnr, model };
}

describe('ways of rounding weights over samples', () => {
  let plain: number;
  before(async () => {
    plain = (await made({})).sqnr;
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
});
