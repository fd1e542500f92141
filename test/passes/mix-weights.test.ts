import { expect } from 'chai';
import { withWeightTrials } from '../../src/calibration/weight-trials.js';
import { heatMap } from '../../src/cli/heat-map.js';
import {
  type Engine,
  Ledger,
  parseModel,
  QuantcError,
  runPipeline,
  targetFact,
  weightBytesFact,
  weightFact,
  weightMixFact,
} from '../../src/index.js';
import { recipeFor } from '../../src/recipe.js';
import { createEngine } from '../../src/runtime/engine.js';
import { inferTypes } from '../../src/runtime/types.js';
import { filledTensor } from '../../src/text/fill.js';
import { cpuX64Vnni } from '../../targets/cpu-x64.js';
import { memoryData } from '../calibration/memory-data.js';

/** A branch that hardly counts, and one that does; a table that is a product's weight, too. */
const TEXT = `<ir_version: 10, opset_import: ["": 21]> g (float[N,64] x, int64[N] ids) => (float[N,96] y) <
  float[64,64] quiet = ["fill": "normal:1:0:0.01"], float[64,64] loud = ["fill": "normal:2:0:1"],
  float[64,64] quiet2 = ["fill": "normal:5:0:0.01"], float[64,64] last = ["fill": "normal:3:0:0.2"], float[96,64] words = ["fill": "normal:4:0:0.2"]
> {
  [q] a = MatMul (x, quiet)
  [l] b = MatMul (x, loud)
  [q2] d = MatMul (x, quiet2)
  r = Add (a, d)
  s = Add (r, b)
  [e] c = MatMul (s, last)
  [look] t = Gather (words, ids)
  u = Add (c, t)
  turned = Transpose <perm = [1, 0]> (words)
  [head] y = MatMul (u, turned)
}`;

async function mixed(bytes?: number, samples = true) {
  const model = parseModel(TEXT);
  await inferTypes(model);
  const data = memoryData({
    x: filledTensor('float', [4, 64], 'normal:9', 'x')!,
    ids: filledTensor('int64', [4], 'zeros', 'ids')!,
  });
  const engine: Engine = {
    ...createEngine(),
    ...(samples && {
      weightTrials: (at, weights, count, use) =>
        withWeightTrials(at, weights, data.first(count), use, { threads: 1 }),
    }),
  };
  const facts = new Map<string, unknown>([['opset-21', true]]);
  targetFact.set({ facts }, cpuX64Vnni);
  weightFact.set({ facts }, { bits: 4, mixed: true });
  if (bytes !== undefined) weightBytesFact.set({ facts }, bytes);
  const ledger = new Ledger();
  await runPipeline(model, recipeFor('auto-weights').quantize, { engine, ledger, facts, verify: true });
  const bits = new Map<string, number>();
  for (const node of model.graph.nodes()) {
    const own = node.int('bits');
    if (own !== undefined) bits.set(node.name, own);
  }
  return { mix: weightMixFact.get({ facts }), bits, ledger };
}

describe('passes/mix-weights', () => {
  it('gives many bits to weights that count and few to others, within the bytes of 4', async () => {
    const { mix, bits, ledger } = await mixed();
    const uniform = (await mixed(1e9)).mix;
    expect(mix.bytes).to.be.within(mix.least, mix.most);
    expect(uniform.bytes).to.equal(uniform.most);
    expect(bits.get('q')! + bits.get('q2')!).to.be.at.most(6);
    expect(bits.get('l')! + bits.get('e')!).to.be.at.least(8);
    expect(mix.noise).to.be.at.most(mix.uniform);
    expect(ledger.rows.find(({ node }) => node === 'l')!.reason).to.match(/^[48] bits: alone they cost/);
  });

  it('stores a table and the head that shares it with the same bits', async () => {
    for (const bytes of [undefined, 1, 1e9]) {
      const { bits, mix } = await mixed(bytes);
      expect(mix.layers.find(({ nodes }) => nodes.includes('head'))!.nodes).to.include('look');
      expect(bits.get('look')).to.equal(bits.get('head'));
    }
  });

  it('takes the fewest bits there are where the bytes do not suffice', async () => {
    const { mix } = await mixed(1);
    expect(mix.bytes).to.equal(mix.least);
  });

  it('wants samples', async () => {
    const error = await mixed(undefined, false).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(QuantcError).with.property('code', 'E_CALIBRATION_MISSING');
  });

  it('is drawn with names as they are, whatever signs they hold', () => {
    const svg = heatMap({
      ...{
        model: 'a<b>.onnx',
        metric: 'kl',
        source: 's',
        samples: 2,
        method: 'mse',
        blockSize: 32,
        bits: [2, 4],
      },
      weights: [
        {
          ...{ nodes: ['x"y'], weight: 'w', roles: [], elements: 4 },
          figures: [
            { bits: 2, bytes: 1, noise: 0, sqnr: null },
            { bits: 4, bytes: 2, noise: 0.5, sqnr: 20 },
          ],
        },
      ],
    });
    expect(svg).to.contain('a&lt;b&gt;.onnx').and.to.contain('x&quot;y').and.not.to.contain('NaN');
  });
});
