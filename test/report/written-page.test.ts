/** Pages that commands write: beside a compilation's outputs, of several reports, with times that are raced. */
import { existsSync, mkdtempSync, readFileSync, rmSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { compile } from '../../src/compile.js';
import { reportPage } from '../../src/report/html/page.js';
import { readReport } from '../../src/report/read-report.js';
import { invoke } from '../cli/invoke.js';

const model = resolve(import.meta.dirname, '..', '..', 'models', 'shapes-cnn', 'model.onnx');

describe('pages of reports', function () {
  this.timeout(60_000);
  const folder = mkdtempSync(join(tmpdir(), 'quantc-page-'));
  const report = join(folder, 'quantc.report.json');
  const page = join(folder, 'quantc.report.html');
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('are written with the other outputs where they are asked for, and not where they are not', async () => {
    const request = {
      model,
      targets: ['cpu-x64'],
      precision: 'int8-dynamic',
      out: folder,
      cache: false,
    } as const;
    await compile(request);
    expect(existsSync(page)).to.equal(false);
    await compile({ ...request, report: true });
    expect(readFileSync(page, 'utf8')).to.equal(reportPage(readReport(report)));
  });

  it('are made of several reports, with times that are raced', async () => {
    const out = join(folder, 'both.html');
    const words = ['report', report, report, '--race', model, '--out', out];
    expect(await exitCode(words)).to.equal(0);
    const text = readFileSync(out, 'utf8');
    expect(text)
      .to.include('id="target-1"')
      .and.to.include('Time of one sample: ')
      .and.to.include('time, as a multiple');
  });

  it('are refused for what cannot be raced', async () => {
    expect(await exitCode(['report', report, '--calib', folder])).to.equal(2);
    unlinkSync(join(folder, readReport(report).targets[0]!.files[0]!.path));
    expect(await exitCode(['report', report, '--race', model])).to.equal(2);
    expect(await exitCode(['report', report, '--sensitivity', report])).to.equal(2);
    expect(await exitCode(['report', report, '--training', report])).to.equal(2);
  });
});

const exitCode = async (words: readonly string[]): Promise<number> => (await invoke(words)).code;
