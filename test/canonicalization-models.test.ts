import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { canonicalization } from '../passes/index.js';
import { openData, syntheticData } from '../src/calibration/index.js';
import { runPipeline } from '../src/index.js';
import { readModel } from '../src/onnx/read.js';
import { compareOutputs } from '../src/runtime/compare.js';
import { createEngine } from '../src/runtime/engine.js';
import { sharedPath } from './shared.js';

/** Products folded into weights move the last bits of a float; more than that is another result. */
const SQNR_DB = 120;
/** Outputs that are next to nothing everywhere have no ratio worth the name. */
const NOISE = 1e-6;

describe('real models, canonicalized', function () {
  this.timeout(240_000);
  const root = sharedPath('models');
  if (root === undefined) return;
  for (const name of readdirSync(root).sort()) {
    const folder = join(root, name);
    const path = join(folder, 'model.onnx');
    if (!existsSync(path)) continue;
    it(`answers the same: ${name}`, async () => {
      const model = readModel(path);
      const { inputs } = model.graph;
      const data = existsSync(join(folder, 'data.json'))
        ? (await openData(folder, 'eval', inputs)).first(2)
        : syntheticData(inputs, { count: 2 });
      const before = model.graph.nodeCount;
      await runPipeline(model, canonicalization, { engine: createEngine(), verify: true });
      expect(model.opset).to.equal(21);
      expect(model.graph.nodeCount).to.be.at.most(before);
      const off = { optimization: 'off' } as const;
      for (const row of await compareOutputs(path, model, data, { reference: off, candidate: off })) {
        expect(row.mismatched, `${row.name}: NaN or infinity on one side`).to.equal(0);
        if (row.identical || row.maxError <= NOISE) continue;
        expect(row.sqnr, row.name).to.be.greaterThan(SQNR_DB);
      }
    });
  }
});
