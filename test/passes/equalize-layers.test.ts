import { expect } from 'chai';
import { equalizeLayers } from '../../passes/equalize-layers.js';
import { smoothQuant } from '../../passes/smooth-quant.js';
import { likenessOn } from '../../src/calibration/likeness.js';
import { watch } from '../../src/calibration/watch.js';
import { observeRanges } from '../../src/compile/ranges.js';
import {
  cloneModel,
  type Engine,
  encodeModel,
  floatModelFact,
  Ledger,
  type Model,
  type Pass,
  parseModel,
  runPipeline,
  setConstant,
  Tensor,
  targetFact,
  verify,
} from '../../src/index.js';
import { compareOutputs } from '../../src/runtime/compare.js';
import { createEngine } from '../../src/runtime/engine.js';
import { inferTypes } from '../../src/runtime/types.js';
import { filledTensor } from '../../src/text/fill.js';
import { memoryData } from '../calibration/memory-data.js';
import { eager } from './quantizing.js';

const SAMPLES = 8;
/** Scales the elements of a weight. */
const change = (model: Model, name: string, factorAt: (at: number) => number): void => {
  const value = [...model.graph.initializers].find((each) => each.name === name)!;
  const data = value.constant!.toFloat32().map((each, i) => each * factorAt(i));
  setConstant(value, Tensor.floats(data, value.constant!.shape));
};

const CONV = `<ir_version: 10, opset_import: ["": 21]>
g (float[1,8,6,6] x) => (float[1,16,6,6] y) <
  float[16,8,3,3] w = ["fill": "normal:1:0:0.3"], float[16,16,3,3] v = ["fill": "normal:2:0:0.1"]
> {
  a = Conv <pads = [1, 1, 1, 1]> (x, w)
  r = Relu (a)
  [last] y = Conv <pads = [1, 1, 1, 1]> (r, v)
}`;

interface Outcome {
  readonly before: Model;
  readonly after: Model;
  readonly ledger: Ledger;
  readonly declined: readonly string[];
  readonly facts: Map<string, unknown>;
  /** Of the outputs of the float model after the pass, in dB. */
  readonly same: number;
  /** What quantizing makes of the outputs with the pass, less what it makes of them without, in dB. */
  readonly gain: number;
}

async function applied(
  pass: Pass,
  text: string,
  prepare: (model: Model) => void,
  engineOf?: (engine: Engine) => Engine,
): Promise<Outcome> {
  const model = parseModel(text);
  await inferTypes(model);
  prepare(model);
  const before = cloneModel(model).model;
  const [input] = model.graph.inputs;
  const data = (seed: number) =>
    memoryData(
      {
        [input!.name]: filledTensor('float', [SAMPLES, ...(input!.shape as number[])], `normal:${seed}`, '')!,
      },
      { stacked: true },
    );
  const calibration = data(50);
  const plain: Engine = {
    ...createEngine(),
    observe: (at, values, samples = SAMPLES) =>
      observeRanges(at, values, calibration.first(samples), { threads: 1 }),
    likeness: likenessOn(() => calibration),
    watch: (at, values, samples, see) => watch(at, values, calibration.first(samples), see),
  };
  const engine = engineOf?.(plain) ?? plain;
  const ledger = new Ledger();
  const facts = new Map<string, unknown>();
  const declined: string[] = [];
  targetFact.set({ facts }, eager);
  floatModelFact.set({ facts }, before);
  const onPass = ({ declines }: { declines: readonly string[] }) => void declined.push(...declines);
  await runPipeline(model, [pass], { engine, ledger, facts, verify: true, onPass });
  expect(verify(model)).to.deep.equal([]);
  const likeness = async (one: Uint8Array, other: Uint8Array) =>
    (
      await compareOutputs(one, other, data(51), {
        reference: { threads: 1, optimization: 'off' },
        candidate: { threads: 1, optimization: 'off' },
      })
    )[0]!;
  const quantized = async (from: Model) => {
    const copy = cloneModel(from).model;
    const { recipeFor } = await import('../../src/recipe.js');
    const own = new Map<string, unknown>();
    targetFact.set({ facts: own }, eager);
    await runPipeline(copy, recipeFor('int8', ['none']).quantize, { engine: plain, facts: own });
    return (await likeness(encodeModel(before), encodeModel(copy))).sqnr;
  };
  const compared = await likeness(encodeModel(before), encodeModel(model));
  return {
    before,
    after: model,
    ledger,
    declined,
    facts,
    same: compared.identical ? Number.POSITIVE_INFINITY : compared.sqnr,
    gain: (await quantized(model)) - (await quantized(before)),
  };
}

/** Each channel of the middle is 1.3 times as large as the one before it, and the weights that read it as much smaller. */
const perChannel = (model: Model): void => {
  change(model, 'w', (at) => 1.3 ** (Math.floor(at / 72) - 15));
  change(model, 'v', (at) => 1.3 ** (15 - (Math.floor(at / 9) % 16)));
};

describe('equalize-layers', () => {
  it('evens channels out and changes no answer of the float model', async () => {
    const { same, gain, ledger, facts, after } = await applied(equalizeLayers, CONV, perChannel);
    expect(same).to.be.above(120);
    expect(gain).to.be.above(6);
    expect(ledger.notes[0]!.message).to.match(/^1 spaces of channels scaled: /);
    // Later passes compare values with the float model as it is now.
    const [w, now] = [after, floatModelFact.get({ facts })].map((model) =>
      [...model.graph.nodes()][0]!.inputs[1]!.constant!.toFloat32(),
    );
    expect(now).to.deep.equal(w);
  });

  it('has scales of few bits, so that last bits of what was measured do not reach the file', async () => {
    const { before, after } = await applied(equalizeLayers, CONV, perChannel);
    const [w, scaled] = [before, after].map((model) =>
      [...model.graph.nodes()][0]!.inputs[1]!.constant!.toFloat32(),
    );
    for (let channel = 0; channel < 16; channel++) {
      const factor = scaled![channel * 72]! / w![channel * 72]!;
      const bits = (factor / 2 ** Math.floor(Math.log2(factor))) * 128;
      expect(bits, `channel ${channel}`).to.be.closeTo(Math.round(bits), 1e-4);
    }
  });

  it('leaves the model alone where its answers do not get better', async () => {
    const { after, before, ledger, declined } = await applied(equalizeLayers, CONV, perChannel, (engine) => ({
      ...engine,
      likeness: async () => 30,
    }));
    expect(encodeModel(after)).to.deep.equal(encodeModel(before));
    expect(ledger.notes[0]!.message).to.match(/^channels left as they are: 30\.0 dB as they are/);
    expect(declined[0]).to.match(/^last: .* dB less noise promised by .*: not worth the risk$/);
  });

  it('does not try what promises nothing', async () => {
    const { ledger, after, before } = await applied(equalizeLayers, CONV, () => {});
    expect(ledger.notes).to.deep.equal([]);
    expect(encodeModel(after)).to.deep.equal(encodeModel(before));
  });

  it('says that it needs samples', async () => {
    const { declined } = await applied(
      equalizeLayers,
      CONV,
      perChannel,
      ({ watch: _watch, ...engine }) => engine,
    );
    expect(declined).to.deep.equal(['there are no samples to measure channels on']);
  });

  it('keeps channels where a Clip cuts them off, and lets others grow up to it', async () => {
    const clipped = CONV.replace('r = Relu (a)', 'r = Clip (a, least, most)').replace(
      '["fill": "normal:2:0:0.1"]',
      '["fill": "normal:2:0:0.1"], float least = {0.0}, float most = {1.0}',
    );
    const { before, after, same, gain } = await applied(equalizeLayers, clipped, perChannel);
    const [w, scaled] = [before, after].map((model) =>
      [...model.graph.nodes()][0]!.inputs[1]!.constant!.toFloat32(),
    );
    const factors = Array.from({ length: 16 }, (_, channel) => scaled![channel * 72]! / w![channel * 72]!);
    // The largest channels are cut off; the smallest are far from it.
    expect(factors.slice(-4)).to.deep.equal([1, 1, 1, 1]);
    expect(Math.min(...factors)).to.equal(1);
    expect(factors[0]).to.be.above(2);
    expect(same).to.be.above(110);
    expect(gain).to.be.above(3);
  });
});

describe('smooth-quant', () => {
  const NORMS = `<ir_version: 10, opset_import: ["": 21]>
g (float[1,16,16] x) => (float[1,16,24] y, float[1,16,24] z) <
  float[16] g = ["fill": "uniform:1:0.5:1.5"], float[16] b = ["fill": "normal:2:0:0.1"],
  float[16,24] q = ["fill": "normal:3:0:0.3"], float[16,24] k = ["fill": "normal:4:0:0.3"]
> {
  n = LayerNormalization (x, g, b)
  y = MatMul (n, q)
  [second] z = MatMul (n, k)
}`;
  /** Two channels forty times as large, whose weights are as much smaller: what transformers have. */
  const outliers = (model: Model): void => {
    const isOut = (channel: number) => channel % 8 === 3;
    for (const name of ['g', 'b']) change(model, name, (at) => (isOut(at) ? 40 : 1));
    for (const name of ['q', 'k']) change(model, name, (at) => (isOut(Math.floor(at / 24)) ? 1 / 40 : 1));
  };

  it('moves outlying channels from the activation into all weights that read it', async () => {
    const { same, gain, after } = await applied(smoothQuant, NORMS, outliers);
    expect(same).to.be.above(120);
    expect(gain).to.be.above(10);
    const [norm, first, second] = [...after.graph.nodes()];
    const weights = norm!.inputs[1]!.constant!.toFloat32();
    expect(weights[3]! / weights[2]!).to.be.below(15);
    expect(first!.inputs[1]).not.to.equal(second!.inputs[1]);
  });

  it('is not the business of equalize-layers', async () => {
    const { after, before } = await applied(equalizeLayers, NORMS, outliers);
    expect(encodeModel(after)).to.deep.equal(encodeModel(before));
  });
});
