import { expect } from 'chai';
import { calibrateRanges } from '../../passes/calibrate-ranges.js';
import { chooseRanges } from '../../passes/choose-ranges.js';
import { planIntegerKernels } from '../../passes/plan-integer-kernels.js';
import {
  type Engine,
  type Model,
  parseModel,
  type Range,
  rangesFact,
  runPipeline,
  targetFact,
} from '../../src/index.js';
import { createEngine } from '../../src/runtime/engine.js';
import { judgedByLikeness } from '../../src/target/facts.js';
import { eager } from './quantizing.js';

const CONV = `<ir_version: 10, opset_import: ["": 21]>
g (float[1,16,8,8] x) => (float[1,16,8,8] y) <float[16,16,3,3] w = ["fill": "normal:1"]> {
  a = Conv <pads = [1, 1, 1, 1]> (x, w)
  y = Relu (a)
}`;

const NARROW: Range = { min: -1, max: 1 };
const WIDE: Range = { min: -4, max: 4 };

/** Chooses between a narrow and a wide range whose models score so, in dB; the narrow one is asked for first. */
async function chosen(
  scores: { narrow: number; wide: number },
  likeness: boolean,
): Promise<{ max: number; tried: Model[] }> {
  const model = parseModel(CONV);
  const tried: Model[] = [];
  const engine: Engine = {
    ...createEngine(),
    observe: async (_model, values) =>
      new Map(values.map((value) => [value, { ...WIDE, alternatives: { narrow: NARROW, wide: WIDE } }])),
    likeness: async (_reference, candidate) => {
      tried.push(candidate);
      return tried.length === 1 ? scores.narrow : scores.wide;
    },
  };
  const facts = new Map<string, unknown>();
  targetFact.set({ facts }, eager);
  judgedByLikeness.set({ facts }, likeness);
  await runPipeline(model, [planIntegerKernels, calibrateRanges, chooseRanges], {
    engine,
    facts,
    verify: true,
  });
  const [range] = rangesFact.get({ facts }).values();
  return { max: range!.max, tried };
}

describe('choose-ranges', () => {
  it('tries each kind of range on a quantized copy and leaves the model alone', async () => {
    const { tried } = await chosen({ narrow: 30, wide: 30 }, false);
    expect(tried).to.have.length(2);
    for (const each of tried) {
      const ops = [...each.graph.nodes()].map((node) => node.opType);
      expect(ops).to.include('QuantizeLinear').and.to.include('DequantizeLinear');
    }
  });

  it('stays with the first kind while another is only a little better', async () => {
    expect((await chosen({ narrow: 30, wide: 31.5 }, false)).max).to.equal(NARROW.max);
  });

  it('takes another that is clearly better', async () => {
    expect((await chosen({ narrow: 30, wide: 33 }, false)).max).to.equal(WIDE.max);
  });

  it('has no preference where likeness itself is what the model is judged by', async () => {
    expect((await chosen({ narrow: 30, wide: 30.5 }, true)).max).to.equal(WIDE.max);
  });
});
