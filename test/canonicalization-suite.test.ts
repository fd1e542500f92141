import { expect } from 'chai';
import { canonicalization } from '../passes/index.js';
import { Ledger, runPipeline } from '../src/index.js';
import { readModel } from '../src/onnx/read.js';
import { createEngine } from '../src/runtime/engine.js';
import { differenceOf } from '../src/testing/closeness.js';
import { answers, families, originalAnswers, type SuiteCase, suiteCases } from './suite.js';

/** Cases that onnxruntime-node runs before the passes, and so must run after them. */
const FEWEST = 720;

describe('ONNX backend suite, canonicalized', function () {
  this.timeout(240_000);
  const cases = suiteCases();
  if (cases.length === 0) return;
  let ran = 0;
  let raised = 0;

  /** What is wrong with a case, if anything. */
  async function check(each: SuiteCase): Promise<string | undefined> {
    const model = readModel(each.model);
    const original = await originalAnswers(each, model);
    const opset = model.opset;
    const ledger = new Ledger();
    await runPipeline(model, canonicalization, { engine: createEngine(), ledger, verify: true });
    if (model.opset === 21) raised++;
    else if (model.opset !== opset) return `opset ${opset} became ${model.opset}`;
    else if (!ledger.notes.some((note) => note.pass === 'upgrade-opset'))
      return `opset ${opset} was left, and nothing says why`;
    if (original === undefined) return undefined;
    ran++;
    const found = await answers(model, original.feeds, original.level);
    for (const [set, outputs] of original.answers.entries()) {
      // Floats may differ in the last bits where products were folded; everything else must be equal.
      const difference = differenceOf(outputs, found[set]!, { tolerance: 1e-5 });
      if (difference !== undefined) return `set ${set}: ${difference}`;
    }
    return undefined;
  }

  for (const [family, members] of families(cases)) {
    it(`answers the same: ${family}… (${members.length} models)`, async () => {
      const failures: string[] = [];
      for (const each of members) {
        const wrong = await check(each).catch((error: unknown) => String(error));
        if (wrong !== undefined) failures.push(`${each.name}: ${wrong}`);
      }
      expect(failures).to.deep.equal([]);
    });
  }

  it('ran as many models as ever, most of them raised to opset 21', () => {
    expect(ran).to.be.at.least(FEWEST);
    expect(raised).to.be.at.least(cases.length * 0.8);
  });
});
