import { expect } from 'chai';
import { finiteMasks } from '../../passes/finite-masks.js';
import { lowerMagnitudes } from '../../passes/lower-magnitudes.js';
import {
  cloneModel,
  encodeModel,
  Ledger,
  type Model,
  type Pass,
  parseModel,
  runPipeline,
} from '../../src/index.js';
import { compareOutputs } from '../../src/runtime/compare.js';
import { createEngine } from '../../src/runtime/engine.js';
import { filledTensor } from '../../src/text/fill.js';

const head = '<ir_version: 10, opset_import: ["": 21]>';

/** The model before and after a pass, and how its outputs on one feed lie to each other. */
async function ran(text: string, pass: Pass, law = 'normal:7:0:3') {
  const model = parseModel(text);
  const before = cloneModel(model).model;
  await runPipeline(model, [pass], { engine: createEngine(), ledger: new Ledger(), verify: true });
  const feeds = Object.fromEntries(
    model.graph.inputs.map(({ name, shape }, at) => [
      name,
      filledTensor('float', shape as number[], `${law.replace(':7', `:${7 + at}`)}`, name)!,
    ]),
  );
  const off = { optimization: 'off', threads: 1 } as const;
  const figures = await compareOutputs(encodeModel(before), encodeModel(model), [feeds], {
    reference: off,
    candidate: off,
  });
  return { after: model, figure: figures[0]! };
}
const count = (model: Model, opType: string): number =>
  [...model.graph.nodes()].filter((node) => node.opType === opType).length;

describe('lower-magnitudes', () => {
  it('turns vectors instead of squaring them, within a quarter of a percent', async () => {
    const { after, figure } = await ran(
      `${head} g (float[40,50] a, float[40,50] b) => (float[40,50] y) < float two = {2.0} > {
        s = Pow (a, two) t = Mul (b, b) u = Add (s, t) y = Sqrt (u) }`,
      lowerMagnitudes,
    );
    expect([count(after, 'Sqrt'), count(after, 'Pow'), count(after, 'Mul')]).to.deep.equal([0, 0, 10]);
    expect(figure.sqnr).to.be.above(52);
  });

  it('leaves roots of other sums, and sums that somebody else reads', async () => {
    const { after } = await ran(
      `${head} g (float[4,5] a, float[4,5] b, float[5] c) => (float[4,5] x, float[4,5] y, float[4,5] z, float[4,5] v) <
        float two = {2.0}, float three = {3.0} > {
        s = Pow (a, two) t = Pow (b, three) u = Add (s, t) r = Abs (u) x = Sqrt (r)
        w = Mul (c, c) q = Add (s, w) y = Sqrt (q) z = Abs (s) p = Mul (a, b) o = Add (s, p) o2 = Abs (o) v = Sqrt (o2) }`,
      lowerMagnitudes,
    );
    expect(count(after, 'Sqrt')).to.equal(3);
  });
});

describe('finite-masks', () => {
  it('makes masks of −∞ finite on their way to Softmax, which answers the same', async () => {
    const { after, figure } = await ran(
      `${head} g (float[2,3,3] s) => (float[2,3,3] y) <
        float[3,3] m = { 0, -inf, -inf, 0, 0, -inf, 0, 0, 0 }, int64[1] axes = {0} > {
        u = Unsqueeze (m, axes) a = Add (s, u) y = Softmax (a) }`,
      finiteMasks,
    );
    expect(figure.identical).to.equal(true);
    const [unsqueeze] = [...after.graph.nodes()];
    expect(Math.min(...unsqueeze!.inputs[0]!.constant!.toNumbers())).to.equal(-1e9);
  });

  it('leaves −∞ where no Softmax follows', async () => {
    const { after } = await ran(
      `${head} g (float[3] s) => (float[3] y) < float[3] m = { 0, -inf, 1 } > { y = Add (s, m) }`,
      finiteMasks,
    );
    expect([...after.graph.nodes()][0]!.inputs[1]!.constant!.toNumbers()[1]).to.equal(
      Number.NEGATIVE_INFINITY,
    );
  });
});
