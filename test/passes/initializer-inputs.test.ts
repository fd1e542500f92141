import { expect } from 'chai';
import { initializerInputs, keepInputDefaults } from '../../passes/initializer-inputs.js';
import { runPipeline } from '../../src/index.js';
import { parseModel } from '../../src/text/parse.js';

const engine = {
  inferTypes: async () => {},
  evaluate: async () => new Map(),
  observe: async () => new Map(),
};
const text = (ir: number) => `<ir_version: ${ir}, opset_import: ["": 8]>
  g (float[2,3] x, float[3,2] w) => (float[2,2] y) <float[3,2] w = {1, 2, 3, 4, 5, 6}> { y = MatMul (x, w) }`;

describe('initializer-inputs', () => {
  it('makes defaults constants, and says so', async () => {
    const model = parseModel(text(8));
    const ledger = await runPipeline(model, [initializerInputs], { engine, verify: true });
    expect(model.graph.inputs.map(({ name }) => name)).to.deep.equal(['x']);
    expect([...model.graph.initializers].every((value) => value.isConstant)).to.equal(true);
    expect(ledger.notes.map(({ level, message }) => [level, message])).to.deep.equal([
      ['warning', 'callers can no longer override "w": it was both input and initializer'],
    ]);
  });

  it('only remarks on it where IR version 3 gave no choice', async () => {
    const model = parseModel(text(3));
    const ledger = await runPipeline(model, [initializerInputs], { engine });
    expect(model.irVersion).to.equal(4);
    expect(ledger.notes[0]!.level).to.equal('info');
  });

  it('keeps them where the compilation says so', async () => {
    const model = parseModel(text(8));
    const facts = new Map<string, unknown>();
    keepInputDefaults.set({ facts }, true);
    const ledger = await runPipeline(model, [initializerInputs], { engine, facts });
    expect(model.graph.inputs).to.have.lengthOf(2);
    expect(ledger.notes).to.deep.equal([]);
  });
});
