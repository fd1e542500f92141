/** Verdicts on models of every kind: none is beyond words. */
import { expect } from 'chai';
import { constantsToInitializers } from '../../passes/constants-to-initializers.js';
import { inlineFunctions } from '../../passes/inline-functions.js';
import { QuantcError, readModel, runPipeline, usabilityOf, verdictOf } from '../../src/index.js';
import { createEngine } from '../../src/runtime/engine.js';
import { targets } from '../../targets/index.js';
import { usabilityLists } from '../../targets/usability-lists.js';
import { suiteCases } from '../suite.js';

/** One in so many. */
const EVERY = 12;

describe('verdicts on the ONNX suite', () => {
  it('count every node once: taken, in one partition, or left by a rule', async function () {
    const cases = suiteCases().filter((_, at) => at % EVERY === 0);
    if (cases.length === 0) this.skip();
    for (const { name, model: path } of cases) {
      const model = readModel(path);
      const engine = createEngine();
      try {
        await runPipeline(model, [inlineFunctions, constantsToInitializers], { engine });
      } catch (error) {
        // Some are not for ONNX Runtime.
        if (error instanceof QuantcError && error.kind === 'input') continue;
        throw error;
      }
      await engine.inferTypes(model);
      for (const { name: target, provider } of targets) {
        if (provider === undefined) continue;
        const { nodes, taken, coverage, partitions, breaks } = verdictOf(model, provider);
        const told = `${name} for ${target}`;
        expect(
          partitions.reduce((sum, each) => sum + each.nodes, 0),
          told,
        ).to.equal(taken);
        expect(coverage, told).to.equal(nodes === 0 ? 1 : taken / nodes);
        expect(breaks.length >= nodes - taken, told).to.equal(true);
        expect(breaks.length === 0, told).to.equal(taken === nodes);
      }
      for (const list of usabilityLists) {
        const { asIs } = usabilityOf(model, list);
        expect(asIs.supported, `${name} for ${list.name}`).to.be.at.most(asIs.nodes);
      }
    }
  });
});
