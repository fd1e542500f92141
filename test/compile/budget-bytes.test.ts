import { expect } from 'chai';
import { parseBudget } from '../../src/compile/budget/budget.js';
import { meetBytes } from '../../src/compile/budget/bytes.js';
import type { Measured } from '../../src/compile/budget/figures.js';
import { QuantcError } from '../../src/index.js';
import type { TargetReport } from '../../src/report/report.js';

const [LEAST, MOST, BESIDE, FLOAT] = [1000, 4000, 500, 20_000];

/** Weights that take what they may in steps of 37 bytes, and signal to noise that grows with them. */
function bench() {
  const asked: number[] = [];
  const measure = async ({ bytes }: { bytes: number }): Promise<Measured> => {
    asked.push(bytes);
    const used = Math.min(MOST, Math.max(LEAST, bytes - (bytes % 37)));
    // The file holds some bytes more than the weights, the more the larger they are.
    const bytesAfter = BESIDE + used + Math.floor(used / 100);
    return {
      ...{ bytesBefore: FLOAT, bytesAfter, sqnr: used / 100 },
      weightMix: { bytes: used, least: LEAST, most: MOST },
    };
  };
  const keep = async ({ bytes }: { bytes: number }) =>
    ({ kept: bytes, notes: [] }) as unknown as TargetReport;
  const run = async (...budget: string[]) => {
    const report = (await meetBytes({ terms: parseBudget(budget), measure, keep })) as unknown as {
      kept: number;
    };
    return (await measure({ bytes: report.kept })) as Measured & { bytesAfter: number };
  };
  return { run, asked };
}

describe('compile/budget-bytes', () => {
  it('takes the most bytes that fit where size is all that is asked', async () => {
    for (const [budget, limit] of [
      ['size<=3kB', 3000],
      ['size<=0.1x', 2000],
    ] as const) {
      const { run } = bench();
      const { bytesAfter } = await run(budget);
      expect(bytesAfter).to.be.within(limit * 0.96, limit);
    }
    expect((await bench().run('size<=1x')).bytesAfter).to.equal(BESIDE + MOST + MOST / 100);
  });

  it('takes few bytes where accuracy is asked, and holds both where both are', async () => {
    const { sqnr } = await bench().run('sqnr>=20dB');
    expect(sqnr!).to.be.within(20, 24);
    const both = await bench().run('sqnr>=20dB and size<=0.15x');
    expect(both.sqnr!).to.be.at.least(20);
    expect(both.bytesAfter).to.be.at.most(3000);
  });

  it('writes nothing where no bytes do, and tells what was tried', async () => {
    for (const budget of ['size<=1kB', 'sqnr>=50dB', 'sqnr>=35dB and size<=2kB']) {
      const { run, asked } = bench();
      const error = await run(budget).catch((thrown: unknown) => thrown);
      expect(error, budget).to.be.instanceOf(QuantcError).with.property('code', 'E_BUDGET');
      expect((error as QuantcError).message).to.contain('not met');
      expect(asked.length).to.be.at.most(8);
    }
  });
});
