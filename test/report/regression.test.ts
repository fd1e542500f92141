/** Limits on a change: how they are written, when they are broken, and what a command ends with. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { breachesOf, breachesText, parseChangeLimits } from '../../src/report/regression.js';
import type { Report, TargetReport } from '../../src/report/report.js';
import { invoke } from '../cli/invoke.js';

function report(bytesAfter: number, top1?: number, sqnr: number | null = 30): Report {
  const target: TargetReport = {
    ...{ model: 'net|1.onnx', target: 'cpu', precision: 'int8', opset: 21, bytesBefore: 4e6, bytesAfter },
    ...{ files: [], session: {}, remarks: [], ledger: [], notes: [], names: {} },
    proof: {
      ...{ status: 'passed', executor: 'CPU', samples: 1, synthetic: false, kernels: {}, broken: [] },
      outputs: [{ name: 'y', sqnr, cosine: 1, maxError: 0 }],
      ...(top1 !== undefined && {
        evaluation: { metric: 'top1', source: 'data', samples: 10, float: 0.9, quantized: top1 },
      }),
    },
  };
  return { quantc: '0.1.0', targets: [target] };
}
const broken = (before: Report, after: Report, ...limits: string[]): string[] =>
  breachesOf(before, after, parseChangeLimits(limits)).map(({ limit, change }) => `${limit}: ${change}`);

describe('limits on a change', () => {
  it('are broken beyond, and not at, what they say', () => {
    expect(broken(report(1e6), report(1.05e6), 'size>+5%')).to.deep.equal([]);
    expect(broken(report(1e6), report(1.06e6), 'size>+5%')).to.deep.equal(['size>+5%: +6.00 %']);
    expect(broken(report(1e6, 0.9), report(1e6, 0.895), 'top1<-0.5%')).to.deep.equal([]);
    expect(broken(report(1e6, 0.9), report(1e6, 0.89), 'top1 < -0.5%, size>0%')).to.deep.equal([
      'top1 < -0.5%: -1.00 %',
    ]);
    expect(broken(report(1, 0.9, 30), report(1, 0.9, 28.5), 'sqnr<-1dB')).to.deep.equal([
      'sqnr<-1dB: -1.50 dB',
    ]);
    // Equality is the best there is.
    expect(broken(report(1, 0.9, 30), report(1, 0.9, null), 'sqnr<-1dB')).to.deep.equal([]);
  });

  it('are broken by a figure that is gone, and refused where there never was one', () => {
    expect(broken(report(1, 0.9), report(1), 'top1<-1%')).to.deep.equal(['top1<-1%: no figure any more']);
    expect(() => broken(report(1), report(1, 0.9), 'top1<-1%'))
      .to.throw()
      .with.property('code', 'E_DIFF_FIGURE');
  });

  for (const text of ['size', 'size>5', 'weight>5%', 'sqnr<-1%', 'size>=5%', '', 'constructor>5%'])
    it(`are not written "${text}"`, () => {
      expect(() => parseChangeLimits([text]))
        .to.throw()
        .with.property('code', 'E_DIFF_LIMIT');
    });

  it('stand in the comment with names that end no cell', () => {
    const found = breachesOf(report(1e6), report(2e6), parseChangeLimits(['size>5%']));
    expect(breachesText(found)).to.include('| net\\|1.onnx | cpu | `size>5%` | +100.00 % |');
    expect(breachesText([])).to.equal('');
  });

  it('decide what the command ends with', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'quantc-diff-'));
    const [before, after] = [join(folder, 'a.json'), join(folder, 'b.json')];
    writeFileSync(before, JSON.stringify(report(1e6)));
    writeFileSync(after, JSON.stringify(report(1.2e6)));
    const limits = [
      [],
      ['--fail-on', 'size>+50%'],
      ['--fail-on', 'size>+5%'],
      ['--fail-on', 'size>+5%', '--json'],
      ['--fail-on', 'size'],
    ];
    const ends = [];
    for (const each of limits) ends.push(await invoke(['diff', before, after, ...each]));
    rmSync(folder, { recursive: true });
    expect(ends.map(({ code }) => code)).to.deep.equal([0, 0, 1, 1, 2]);
    expect(ends[1]!.out).to.include('| size | 1 MB | 1.2 MB | worse |');
    expect(ends[2]!.out)
      .to.match(/^\*\*Beyond the limits\*\*/)
      .and.to.include('| size | 1 MB | 1.2 MB | worse |');
    expect(ends[2]!.err).to.include('E_DIFF_BEYOND');
    expect(JSON.parse(ends[3]!.out).breaches).to.have.length(1);
  });
});
