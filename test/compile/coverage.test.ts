/** Budgets and `--strict` where a provider leaves nodes. */
import { expect } from 'chai';
import { parseBudget } from '../../src/compile/budget/budget.js';
import { figuresOf, figureText, requireProvider } from '../../src/compile/budget/figures.js';
import { keepCovered } from '../../src/compile/budget/search.js';
import { coverageRefusal } from '../../src/compile/provider-verdict.js';
import { type ProviderVerdict, QuantcError, type Target, type TargetReport } from '../../src/index.js';
import { cpuX64Vnni } from '../../targets/cpu-x64.js';

const verdict = (taken: number): ProviderVerdict => ({
  provider: 'qnn',
  nodes: 200,
  taken,
  coverage: taken / 200,
  partitions: [{ nodes: taken, first: 'a', last: 'b' }],
  breaks:
    taken === 200
      ? []
      : [
          {
            node: 'middle',
            op: 'Erf',
            rule: 'qnn/operator',
            reason: 'there is none',
            source: 'a file',
            mend: 'fuse-gelu',
          },
        ],
});
const report = (taken: number): TargetReport =>
  ({
    target: 'npu-qnn',
    bytesBefore: 1,
    bytesAfter: 1,
    proof: { outputs: [] },
    notes: [],
    verdict: verdict(taken),
  }) as unknown as TargetReport;
const npu = { ...cpuX64Vnni, name: 'npu', provider: {} } as unknown as Target;

const failure = (act: () => unknown): QuantcError => {
  try {
    act();
  } catch (error) {
    return error as QuantcError;
  }
  return expect.fail('nothing was refused');
};

describe('coverage', () => {
  it('is kept by a budget that it meets, and refused by one that it misses, with the rule', () => {
    const terms = parseBudget(['coverage>=90%']);
    expect(keepCovered(terms, report(180)).budget?.figures).to.deep.equal([
      { term: 'coverage>=90%', value: 0.9, limit: 0.9, met: true },
    ]);
    const error = failure(() => keepCovered(terms, report(179)));
    expect([error.code, error.kind]).to.deep.equal(['E_BUDGET', 'proof']);
    expect(error.message).to.include('89.50 %, not met').and.to.include('qnn/operator');
  });

  it('stands beside other limits', () => {
    const terms = parseBudget(['size<=1x and coverage>=99%']);
    const measured = { bytesBefore: 2, bytesAfter: 1, sqnr: 20, coverage: 0.5 };
    expect(figuresOf(terms, measured).map(figureText)).to.deep.equal([
      'size<=1x: 0.500x',
      'coverage>=99%: 50.00 %, not met',
    ]);
  });

  it('means nothing for targets that run every node', () => {
    const terms = parseBudget(['coverage>=95%']);
    expect(failure(() => requireProvider(terms, cpuX64Vnni)).code).to.equal('E_BUDGET_TARGET');
    requireProvider(terms, npu);
    requireProvider(parseBudget(['size<=1x']), cpuX64Vnni);
  });

  it('is demanded whole by --strict, and what breaks it is told', () => {
    expect(coverageRefusal(npu, undefined)).to.equal(undefined);
    expect(coverageRefusal(npu, verdict(200))).to.equal(undefined);
    const error = coverageRefusal(npu, verdict(199))!;
    expect(error).to.be.instanceOf(QuantcError);
    expect([error.code, error.kind, error.place?.node]).to.deep.equal(['E_COVERAGE', 'proof', 'middle']);
    expect(error.message).to.equal(
      'qnn takes 199 of 200 nodes, in 1 partition: qnn/operator is broken by middle (Erf), there is none; fuse-gelu would mend it',
    );
  });
});
