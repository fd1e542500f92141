/**
 * A graph for each rule of each provider: legal but for one change, which the verdict names. A rule without a graph that
 * breaks it fails here.
 */
import { expect } from 'chai';
import { type ProviderTable, verdictOf } from '../../src/index.js';
import { createEngine } from '../../src/runtime/engine.js';
import { targets } from '../../targets/index.js';
import { modelOf } from './broken/case.js';
import { casesFor } from './broken/cases.js';

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
