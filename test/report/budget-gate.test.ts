/** The example gate: a change passes within its budget and its limits, and fails beyond, with a comment either way. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { checkConfig } from '../../src/build/schema.js';

const root = resolve(import.meta.dirname, '..', '..');
const example = join(root, 'examples', 'budget-gate');

describe('budget gate', function () {
  this.timeout(180_000);
  const folder = mkdtempSync(join(tmpdir(), 'quantc-gate-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const comment = join(folder, 'comment.md');
  const baseline = join(folder, 'baseline.json');
  const report = join(folder, 'out', 'shapes', 'quantc.report.json');
  /** The example's config with a budget of its own; keeps what was built. */
  const configWith = (budget: readonly string[]): string => {
    const path = join(folder, 'quantc.config.json');
    const data = join(root, 'models', 'shapes-cnn');
    const shapes = { model: join(data, 'model.onnx'), calib: data, eval: data, targets: ['cpu-x64'], budget };
    writeFileSync(path, JSON.stringify({ report: true, cache: 'kept', models: { shapes } }));
    return path;
  };
  const gate = (config: string, limits = 'size>+5%,top1<-0.5%'): number | null => {
    const words = [join(example, 'gate.sh'), config, 'shapes', join(folder, 'out'), baseline, comment];
    const command = `${process.execPath} --import tsx ${join(root, 'src', 'cli', 'main.ts')}`;
    const env = { ...process.env, QUANTC: command, FAIL_ON: limits };
    return spawnSync('sh', words, { cwd: root, env, stdio: 'ignore' }).status;
  };

  it('passes within the budget, and tells that there is no baseline yet', () => {
    expect(gate(configWith(['top1>=-0.5%', 'size<=0.3x']))).to.equal(0);
    expect(readFileSync(comment, 'utf8')).to.match(/^No baseline yet/);
    expect(readFileSync(join(folder, 'out', 'quantc.report.html'), 'utf8')).to.include('shapes → cpu-x64');
  });

  it('compares with the baseline, and fails where a change goes beyond a limit', () => {
    const text = readFileSync(report, 'utf8');
    writeFileSync(baseline, text);
    const config = configWith(['top1>=-0.5%', 'size<=0.3x']);
    expect(gate(config)).to.equal(0);
    expect(readFileSync(comment, 'utf8')).to.equal('Nothing changed.\n');
    const before = JSON.parse(text);
    before.targets[0].bytesAfter = Math.round(before.targets[0].bytesAfter / 1.2);
    writeFileSync(baseline, JSON.stringify(before));
    expect(gate(config)).to.equal(1);
    expect(readFileSync(comment, 'utf8'))
      .to.match(/^\*\*Beyond the limits\*\*/)
      .and.to.include('| `size>+5%` | +20.00 % |')
      .and.to.include('| worse |');
    expect(gate(config, 'size>+30%')).to.equal(0);
  });

  it('fails where the budget is not met, with how near it came in the comment', () => {
    expect(gate(configWith(['size<=0.05x']))).to.equal(1);
    expect(readFileSync(comment, 'utf8'))
      .to.match(/^### The budget is not met/)
      .and.to.include('E_BUDGET');
  });

  it('has a config that a build takes, and a workflow that calls what is there', () => {
    const file = join(example, 'quantc.config.json');
    const { models } = checkConfig(JSON.parse(readFileSync(file, 'utf8')), file);
    expect(models).to.have.nested.property('shapes.budget').that.deep.equals(['top1>=-0.5%', 'size<=0.3x']);
    const workflow = readFileSync(join(example, 'budget-gate.yml'), 'utf8');
    expect(workflow).to.include(
      'sh examples/budget-gate/gate.sh examples/budget-gate/quantc.config.json shapes',
    );
  });
});
