/** Every gradient rule and variant against finite differences, all in one session. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { GRADIENT_RULES } from '../../src/autodiff/rules/index.js';
import { GRADIENT_CASES } from './cases.js';
import { compareGradients, type Found } from './finite-differences.js';

/** Rules that no finite difference can hold: Round is straight-through, by definition. */
const BY_DEFINITION = new Set(['Round', 'RMSNormalization']);

describe('gradients against finite differences', function () {
  this.timeout(60_000);
  let found: ReadonlyMap<string, Found>;
  before(async () => {
    found = new Map((await compareGradients(GRADIENT_CASES)).map((each) => [each.name, each]));
  });

  for (const { name } of GRADIENT_CASES) {
    it(name, () => {
      const { error, checked } = found.get(name)!;
      expect(checked).to.be.greaterThan(0);
      expect(error, 'relative error').to.be.at.most(1e-3);
    });
  }

  it('has a case for every operator of the table', () => {
    const nodes = GRADIENT_CASES.map((each) => each.nodes).join('\n');
    const untested = GRADIENT_RULES.flatMap(({ ops }) => ops).filter(
      (op) => !BY_DEFINITION.has(op) && !new RegExp(`= ${op}[<(]`).test(nodes),
    );
    expect(untested).to.deep.equal([]);
  });

  it('is told as a table in docs/training.md', () => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/training.md'), 'utf8');
    const rows = GRADIENT_RULES.map(
      ({ ops, doc }) => `| ${ops.join(', ')} | ${doc.replaceAll('|', '\\|')} |`,
    );
    expect(rows.filter((row) => !page.includes(row))).to.deep.equal([]);
  });

  it('has one case a name', () => {
    const names = GRADIENT_CASES.map((each) => each.name);
    expect(names.filter((name, at) => names.indexOf(name) !== at)).to.deep.equal([]);
  });
});
