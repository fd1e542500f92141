/**
 * A graph for each rule of each provider: legal but for one change, which the verdict names. A rule without a graph that
 * breaks it fails here.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { targetFusions, targetLowerings } from '../../passes/index.js';
import { type Pass, type ProviderTable, verdictOf } from '../../src/index.js';
import { PRECISIONS, recipeFor } from '../../src/recipe.js';
import { createEngine } from '../../src/runtime/engine.js';
import { targets } from '../../targets/index.js';
import { modelOf } from './broken/case.js';
import { casesFor } from './broken/cases.js';
import { compiled, type Outcome } from './broken/outcome.js';

async function judged(text: string, table: ProviderTable) {
  const model = modelOf(text);
  await createEngine().inferTypes(model);
  return verdictOf(model, table);
}

for (const target of targets) {
  const { name, provider } = target;
  if (provider === undefined) continue;
  const cases = casesFor(target);
  /** Rules of operators that only a variant of the provider has break nowhere else. */
  const reachable = provider.rules.filter(
    ({ ops }) => ops === undefined || ops.some((op) => provider.operators.has(op)),
  );
  describe(`graphs broken on purpose for ${name}`, () => {
    it('break every rule of the table', () => {
      const broken = new Set(cases.map(({ rule }) => rule));
      const missing = reachable.filter(({ id }) => !broken.has(id)).map(({ id }) => id);
      expect(missing, 'rules that no graph breaks').to.deep.equal([]);
    });

    for (const { rule, legal, broken } of cases) {
      it(`break ${rule}`, async () => {
        const before = await judged(legal, provider);
        expect(before.breaks, `the legal graph\n${legal}`).to.deep.equal([]);
        expect(before.partitions).to.have.length(1);
        const after = await judged(broken, provider);
        expect(
          after.breaks.map((each) => each.rule),
          broken,
        ).to.include(rule);
        expect(after.taken).to.be.below(after.nodes);
      });
    }
  });
}

/** What users are told that it mends a rule is a pass or an option that there is. */
const KNOWN = new Set(
  [
    ...PRECISIONS.filter((each) => each !== 'auto').flatMap((each) =>
      Object.values(recipeFor(each) as unknown as Record<string, readonly Pass[]>).flat(),
    ),
    ...Object.values(targetFusions),
    ...Object.values(targetLowerings),
  ].flatMap(function names({ name, passes = [] }: Pass): string[] {
    return [name, ...passes.flatMap(names)];
  }),
);

describe('what mends a broken rule', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-broken-test-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const target of targets) {
    const mended = new Map(target.provider?.rules.map(({ id, mend }) => [id, mend]));
    // The plug-in's rules are those of the provider inside ONNX Runtime.
    if (target.provider === undefined || target.name === 'npu-qnn-plugin') continue;
    it(`is there, for ${target.name}`, () => {
      const strange = [...mended].filter(
        ([, mend]) => mend !== undefined && !mend.startsWith('--') && !KNOWN.has(mend),
      );
      expect(strange).to.deep.equal([]);
    });

    for (const { rule, broken, float } of casesFor(target)) {
      if (mended.get(rule) === undefined) continue;
      it(`mends ${rule}, or leaves it named`, async () => {
        const outcomes: Outcome[] = [];
        for (const text of [broken, float])
          if (text !== undefined) outcomes.push(await compiled(text, target, join(folder, 'model.onnx')));
        // An option mends its own rule; a pass mends the node, since what it makes must be legal itself.
        const option = mended.get(rule)!.startsWith('--');
        const fine = outcomes.some(({ verdict }) => {
          if (verdict === undefined) return false;
          const named = verdict.breaks.some((each) => each.rule === rule);
          return named || option || verdict.taken === verdict.nodes;
        });
        const told = outcomes.map(({ verdict, error }) => error ?? verdict?.breaks.map((each) => each.rule));
        expect(fine, JSON.stringify(told)).to.equal(true);
      });
    }
  }
});
