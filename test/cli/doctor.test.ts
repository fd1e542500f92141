import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Finding } from '../../src/compile/checkup.js';
import { invoke } from './invoke.js';

describe('quantc doctor', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'quantc-doctor-test-'));
    writeFileSync(join(folder, 'file'), 'x'.repeat(2_000_000));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('tells what works by using it', async function () {
    this.timeout(60_000);
    const { code, out } = await invoke(['doctor', '--json', '--cache', folder]);
    const { findings } = JSON.parse(out) as { findings: Finding[] };
    expect(code).to.equal(0);
    expect(findings.map(({ what }) => what)).to.deep.equal([
      'engine',
      'webgpu',
      'browser',
      'pictures',
      'cache',
    ]);
    expect(findings[0]!.text).to.match(/^onnxruntime-node \d+\.\d+\.\d+, native/);
    expect(findings[0]!.state).to.equal('works');
    expect(findings[4]!.text).to.equal(`${folder}, 2.0 MB`);
    for (const { state, text } of findings) if (state === 'absent') expect(text).not.to.equal('');
  });

  it('ends with 2 when something that is needed does not work', async function () {
    this.timeout(60_000);
    const { code, out, err } = await invoke(['doctor', '--cache', join(folder, 'file')]);
    expect(code).to.equal(2);
    expect(out).to.match(/cache +broken/);
    expect(err).to.include('E_DOCTOR');
  });
});
