/** Weights of signs, and of signs with 0: their grids, and how they learn. */
import { expect } from 'chai';
import fc from 'fast-check';
import { differentiate } from '../../src/autodiff/differentiate.js';
import { Emitter } from '../../src/autodiff/emit.js';
import { addInput, setGraphOutputs } from '../../src/ir/edit.js';
import { Tensor } from '../../src/ir/tensor.js';
import { tensorType } from '../../src/ir/type.js';
import { parsePrecision } from '../../src/recipe-precisions.js';
import { withSession } from '../../src/runtime/session.js';
import { parseModel } from '../../src/text/parse.js';
import { BINARY, fakeQuantized, type Grid, TERNARY, weightGrid } from '../../src/training/fake-quant.js';
import { fittedGrid, putOnGrid } from '../../src/training/fit-grid.js';
import { codeOf } from '../code-of.js';

/** What a graph makes of a weight on a grid, and the gradient of its sum. */
async function learnt(weight: Tensor, grid: Grid): Promise<{ y: Float32Array; slope: Float32Array }> {
  const model = parseModel(`<ir_version: 10, opset_import: ["": 21]>
    g (float[${weight.shape}] w) => (float[${weight.shape}] w) {}`);
  const [w] = model.graph.inputs as [(typeof model.graph.inputs)[number]];
  const emit = new Emitter(model.graph);
  const y = fakeQuantized(emit, w, emit.constant(grid.scale, 'scale'), grid);
  const seed = addInput(model.graph, 'seed', tensorType('float', weight.shape));
  const slope = differentiate(model, { wrt: [w], seeds: new Map([[y, seed]]) }).get(w)!;
  setGraphOutputs(model.graph, [y, slope]);
  const ones = Tensor.floats(new Float32Array(weight.count).fill(1), weight.shape);
  return withSession(model, { threads: 1 }, async (session) => {
    const found = await session.run({ w: weight, seed: ones });
    return { y: found[y.name]!.toFloat32(), slope: found[slope.name]!.toFloat32() };
  });
}

const weights = fc
  .array(fc.float({ min: -3, max: 3, noNaN: true }), { minLength: 12, maxLength: 12 })
  .map((list) => Tensor.floats(Float32Array.from(list), [3, 4]));

describe('weights of one bit, and of 1.58', () => {
  it('have the levels that they are called by, the same in graphs as where they are stored', async () => {
    await fc.assert(
      fc.asyncProperty(weights, fc.constantFrom(BINARY, TERNARY), async (weight, bits) => {
        const grid = fittedGrid(weight, { bits, axis: 1 });
        const { integers, values } = putOnGrid(weight, grid);
        const scales = grid.scale.toFloat32();
        for (const [at, integer] of integers.entries()) {
          expect(Math.abs(integer)).to.be.oneOf(bits === BINARY ? [1] : [0, 1]);
          expect(values.toFloat32()[at]).to.equal(Math.fround(integer * scales[at % 4]!) + 0);
        }
        expect([...(await learnt(weight, grid)).y].map((value) => value + 0)).to.deep.equal([
          ...values.toFloat32(),
        ]);
      }),
      { numRuns: 25 },
    );
  });

  it('start from the step with the least squared error', () => {
    const weight = Tensor.floats(Float32Array.of(0.1, -0.2, 2, -2.2, 1.8, 0), [6, 1]);
    const binary = fittedGrid(weight, { bits: BINARY, axis: 1 });
    expect(binary.scale.toFloat32()[0]).to.be.closeTo((0.1 + 0.2 + 2 + 2.2 + 1.8) / 6, 0.06);
    const ternary = fittedGrid(weight, { bits: TERNARY, axis: 1 });
    expect(ternary.scale.toFloat32()[0]).to.be.closeTo(2, 0.06);
    expect([...putOnGrid(weight, ternary).integers]).to.deep.equal([0, 0, 1, -1, 1, 0]);
  });

  it('learn as far as they reach', async () => {
    const weight = Tensor.floats(Float32Array.of(-1.6, -1.4, -0.6, 0, 0.4, 1.2, 1.5), [7]);
    const scale = Tensor.floats([1], []);
    const ternary = await learnt(weight, { ...weightGrid(TERNARY), scale });
    expect([...ternary.slope]).to.deep.equal([0, 1, 1, 1, 1, 1, 0]);
    expect([...ternary.y].map((value) => value + 0)).to.deep.equal([-1, -1, -1, 0, 0, 1, 1]);
    const binary = await learnt(weight, { ...weightGrid(BINARY), scale });
    expect([...binary.slope]).to.deep.equal([0, 0, 1, 1, 1, 0, 0]);
    expect([...binary.y]).to.deep.equal([-1, -1, -1, 1, 1, 1, 1]);
  });

  it('are not to be had by rounding', async () => {
    for (const name of ['ternary', 'binary', '1.58'])
      expect(await codeOf(() => parsePrecision(name))).to.equal('E_PRECISION_TRAINED');
  });
});
