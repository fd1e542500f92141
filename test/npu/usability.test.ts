import { expect } from 'chai';
import fc from 'fast-check';
import {
  type Model,
  type ProviderTable,
  parseModel,
  SUITABILITIES,
  suitabilityOf,
  usabilityOf,
  verdictOf,
} from '../../src/index.js';
import { createEngine } from '../../src/runtime/engine.js';
import { targets } from '../../targets/index.js';
import { usabilityLists } from '../../targets/usability-lists.js';
import { optimized, SHARED_MODELS, sharedModel, sizesOf } from './shared-models.js';

const [nnapi, , program] = usabilityLists as [
  (typeof usabilityLists)[0],
  (typeof usabilityLists)[0],
  (typeof usabilityLists)[0],
];
const tableOf = (provider: string): ProviderTable =>
  targets.find((target) => target.provider?.provider === provider)!.provider!;

async function typed(text: string): Promise<Model> {
  const model = parseModel(`<ir_version: 10, opset_import: ["": 21]> g ${text}`);
  await createEngine().inferTypes(model);
  return model;
}

describe("ONNX Runtime's usability checker", () => {
  it('prefers one partition, bears two, and wants most of the nodes', () => {
    expect([0.8, 0.75, 0.6, 0.5].map((share) => suitabilityOf(share, 1))).to.deep.equal([
      'YES',
      'MAYBE',
      'MAYBE',
      'NO',
    ]);
    expect([0.8, 0.75].map((share) => suitabilityOf(share, 2))).to.deep.equal(['MAYBE', 'NO']);
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer({ min: 3, max: 99 }),
        (share, many) => {
          expect(suitabilityOf(share, many)).to.equal('NO');
          expect(suitabilityOf(share, 0)).to.equal('NO');
        },
      ),
    );
  });

  it('goes by operators alone', async () => {
    const model = await typed(
      '(float[4] x) => (float[] y) { a = Relu (x) b = Erf (a) c = Relu (b) d = Relu (c) y = Relu (d) }',
    );
    expect(usabilityOf(model, nnapi)).to.deep.equal({
      asIs: { nodes: 5, supported: 4, partitions: 2, suitability: 'MAYBE' },
      suitability: 'MAYBE',
      unsupported: ['Erf'],
    });
    expect(usabilityOf(model, program)).to.include({ suitability: 'YES' });
  });

  it('looks a second time as if sizes were fixed', async () => {
    const model = await typed('(float[N,4] x) => (float[] y) { a = Relu (x) y = Sigmoid (a) }');
    const found = usabilityOf(model, nnapi);
    expect(found.asIs).to.include({ supported: 0, partitions: 0, suitability: 'NO' });
    expect(found.fixed).to.include({ supported: 2, partitions: 1, suitability: 'YES' });
    expect(found.suitability).to.equal('YES');
  });

  it('counts nodes of subgraphs as left, and leaves more than five axes to the CPU for Core ML', async () => {
    const branches = await typed(`(bool c, float[4] x) => (float[] y) { r = Relu (x) y = If (c) <
      then_branch = t () => (float[4] a) { a = Relu (r) }, else_branch = e () => (float[4] b) { b = Sigmoid (r) }> }`);
    expect(usabilityOf(branches, nnapi).asIs).to.include({ nodes: 4, supported: 1, suitability: 'NO' });
    const deep = await typed('(float[1,1,1,1,1,4] x) => (float[] y) { y = Relu (x) }');
    expect(usabilityOf(deep, program).asIs.supported).to.equal(0);
    expect(usabilityOf(deep, nnapi).asIs.supported).to.equal(1);
  });

  it('believes in no operator that the tables know no builder for', () => {
    for (const [list, provider] of [
      [nnapi, 'nnapi'],
      [program, 'coreml'],
    ] as const) {
      const { operators } = tableOf(provider);
      expect(
        [...list.operators].filter((op) => !operators.has(op)),
        list.name,
      ).to.deep.equal([]);
    }
  });
});

describe('verdicts on the shared models, against the checker', () => {
  for (const name of SHARED_MODELS) {
    it(name, async function () {
      const path = sharedModel(name);
      if (path === undefined) return this.skip();
      const open = await optimized(path);
      const dims = await sizesOf(path);
      // Where sizes alone do not make it loadable (branches for other sizes), it is judged as it stands.
      const sized = Object.keys(dims).length === 0 ? open : await optimized(path, dims).catch(() => open);
      for (const [list, provider] of [
        [nnapi, 'nnapi'],
        [program, 'coreml'],
      ] as const) {
        const table = tableOf(provider);
        const guess = usabilityOf(open, list);
        const verdict = verdictOf(sized, table);
        const ours = suitabilityOf(verdict.coverage, verdict.partitions.length);
        const stricter = SUITABILITIES.indexOf(ours) - SUITABILITIES.indexOf(guess.suitability);
        const told = `${name}, ${list.name}: ${guess.suitability} by the list, ${ours} by the rules`;
        if (stricter < 0) {
          const named = verdict.breaks.filter(({ op }) => list.operators.has(op));
          expect(named, `${told}: a rule that is broken by an operator of the list`).not.to.deep.equal([]);
        }
        if (stricter > 0) {
          const more = guess.unsupported.filter((op) => table.operators.has(op));
          const folded = guess.unsupported.filter((op) => !verdict.breaks.some((each) => each.op === op));
          expect(
            [...more, ...folded],
            `${told}: an operator with a builder that the list lacks`,
          ).not.to.deep.equal([]);
        }
        if (stricter === 0) continue;
        const rules = [...new Set(verdict.breaks.map(({ rule }) => rule))].join(' ');
        if (process.env['QUANTC_TRACE'])
          console.log(`${told}: ${stricter < 0 ? rules : guess.unsupported.join(' ')}`);
      }
    });
  }
});
