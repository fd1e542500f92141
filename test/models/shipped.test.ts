import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { evaluate, openData, openNpy } from '../../src/calibration/index.js';
import { verify } from '../../src/ir/verify.js';
import { readModel } from '../../src/onnx/read.js';
import { withSession } from '../../src/runtime/session.js';

/** Float accuracy as models/README.md states it. */
const STATED = { 'shapes-cnn': 0.97, 'signal-transformer': 0.9405 };

describe('shipped models', () => {
  for (const [name, accuracy] of Object.entries(STATED)) {
    const folder = join(import.meta.dirname, '..', '..', 'models', name);
    const path = join(folder, 'model.onnx');

    it(`${name} is sound, small, and as accurate as stated`, async () => {
      const model = readModel(path);
      expect(verify(model)).to.deep.equal([]);
      expect(statSync(path).size).to.be.at.most(500_000);
      const data = await openData(folder, 'eval', model.graph.inputs, { batch: 50 });
      const { metric, value, samples } = await withSession(path, {}, (session) => evaluate(session, data));
      expect([metric, samples]).to.deep.equal(['top1', data.count]);
      expect(value).to.be.closeTo(accuracy, 0.0011);
    });

    it(`${name} is calibrated on other samples than it is evaluated on`, async () => {
      const { graph } = readModel(path);
      const seen = new Set<string>();
      let count = 0;
      for (const split of ['calib', 'eval'] as const) {
        expect((await openData(folder, split, graph.inputs)).count).to.be.at.least(256);
        const array = openNpy(join(folder, `${graph.inputs[0]!.name}.${split}.npy`));
        for (let row = 0; row < array.shape[0]!; row++, count++) {
          seen.add(createHash('sha256').update(array.rows(row, 1).bytes()).digest('hex'));
        }
      }
      expect(seen.size).to.equal(count);
    });
  }
});
