import { join } from 'node:path';
import { expect } from 'chai';
import { canonicalization } from '../passes/index.js';
import type { Pass } from '../src/index.js';
import { expectGolden, graphText } from '../src/testing/index.js';
import { goldenCases, readCase } from './golden.js';
import { outputDifference, transform } from './golden-run.js';

const singles = (passes: readonly Pass[]): string[] =>
  passes.flatMap((pass) => (pass.passes ? singles(pass.passes) : [pass.name]));

describe('golden cases', () => {
  it('show of every pass that changes no result where it fires, and where it must not', () => {
    const cases = goldenCases();
    for (const name of new Set(singles(canonicalization))) {
      const fires = cases.filter((each) => each.pass === name).map((each) => each.config.fires ?? true);
      expect(fires, name).to.include.members([true, false]);
    }
  });

  for (const each of goldenCases()) {
    it(`${each.pass}/${each.name}`, async () => {
      const model = readCase(each);
      const events = await transform(model, each);
      const declines = events.flatMap((event) => event.declines).join('\n  ');
      const fired = events.some((event) => event.changed);
      expect(fired, `fired; declined:\n  ${declines}\n`).to.equal(each.config.fires ?? true);

      expectGolden(graphText(model, each.config), join(each.folder, 'expected.onnxtxt'));

      const after = each.config.onlyOnce === undefined ? model : undefined;
      const again = after ? await transform(after, each) : [];
      const edited = again.filter((event) => event.changed).map((event) => [event.pass, ...event.changes]);
      expect(edited, 'edits of a second run').to.deep.equal([]);

      if (each.config.unrunnable !== undefined) return;
      const difference = await outputDifference(readCase(each), model, each);
      expect(difference, 'difference of outputs in ONNX Runtime').to.equal(undefined);
    });
  }
});
