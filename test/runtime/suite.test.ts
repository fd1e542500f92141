import { expect } from 'chai';
import { readModel } from '../../src/onnx/read.js';
import { sameTensor } from '../../src/runtime/compare.js';
import { answers, families, originalAnswers, suiteCases } from '../suite.js';

/** Of the 955 cases at hand onnxruntime-node 1.30 runs 724; fewer means that something of ours broke. */
const FEWEST = 720;

describe('ONNX backend suite, read and written again', function () {
  this.timeout(240_000);
  const cases = suiteCases();
  if (cases.length === 0) return;
  let ran = 0;
  for (const [family, members] of families(cases)) {
    it(`answers the same bits: ${family}… (${members.length} models)`, async () => {
      const failures: string[] = [];
      for (const each of members) {
        const model = readModel(each.model);
        const original = await originalAnswers(each, model);
        if (original === undefined) continue;
        ran++;
        const found = await answers(model, original.feeds, original.level);
        original.answers.forEach((outputs, set) => {
          for (const [name, tensor] of Object.entries(outputs))
            if (!sameTensor(tensor, found[set]![name]!)) failures.push(`${each.name}: ${name}, set ${set}`);
        });
      }
      expect(failures).to.deep.equal([]);
    });
  }
  it('ran as many models as ever', () => expect(ran).to.be.at.least(FEWEST));
});
