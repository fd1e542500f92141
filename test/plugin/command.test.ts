import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { type BuildResult, build, type QuantcError, type TargetReport } from '../../src/index.js';
import { invoke } from '../cli/invoke.js';
import { type Workspace, workspace } from '../cli/workspace.js';

/** A plugin with something of everything, in TypeScript, with a module of its own. */
const PLUGIN = `
import { definePlugin, rewrite, value } from 'quantc';
import { chip } from './chip';

const leaky = rewrite({
  name: 'relu-to-leaky',
  doc: 'Relu(x) → LeakyRelu(x) that leaks nothing: the same numbers',
  bind: { x: value },
  pattern: (op, $) => op.Relu($.x),
  replace: ({ x }, op) => op.LeakyRelu(x, { alpha: 0 }),
});

export default definePlugin({
  name: 'sample',
  passes: [{ pass: leaky, after: 'fold-affine' }],
  targets: [chip],
  observers: [{ name: 'half', doc: 'the middle half', range: ({ min, max }) => ({ min: min / SHARE, max: max / SHARE }) }],
});
const SHARE: number = 2;
`;
const CHIP = `
import { defineTarget } from 'quantc';
export const chip = defineTarget({
  name: 'my-chip', doc: 'nothing but convolutions', opset: 21,
  activation: { dtype: 'uint8', symmetric: false },
  weight: { dtype: 'int8', limit: 64 },
  rows: [{
    op: 'Conv', kernel: 'QLinearConv', inputs: ['activation', 'weight', 'bias'], output: 'own', kind: 'compute',
    weightAxis: () => 0,
  }],
  dynamicRows: [], absorbed: ['Relu'], session: {},
  costs: {
    floatMac: 0.1, integerMac: 0.02, floatDepthwiseMac: 1, integerDepthwiseMac: 1, floatOutput: 0.1, integerOutput: 0.1,
    floatElement: 0.1, integerElement: 0.1, quantize: 0.1, dequantize: 0.1, vector: 8, node: 100,
  },
});
`;

describe('plugins by the command and by a config', () => {
  let at: Workspace;
  before(() => {
    at = workspace();
    writeFileSync(at.path('sample.ts'), PLUGIN);
    writeFileSync(at.path('chip.ts'), CHIP);
  });
  after(() => at.remove());
  const sample = () => ['--plugin', at.path('sample.ts')];

  it('compile takes its passes, targets and observers, and traces them', async () => {
    const words = [
      'compile',
      at.model,
      '--calib',
      at.data,
      '--out',
      at.path('out'),
      '--threads',
      '1',
      '--no-cache',
    ];
    const done = await invoke([...words, ...sample(), '--target', 'my-chip', '--ranges', 'half'], {
      QUANTC_TRACE: '2',
    });
    expect(done.code, done.err).to.equal(0);
    expect(done.err).to.match(/relu-to-leaky \(sample\) .* 1 change\n {6}\+ activation: relu-to-leaky/);
    expect(done.out).to.match(
      /Plugins\n\s+sample\s+relu-to-leaky\s+1 change\n\s+sample\s+target\s+my-chip\n\s+sample\s+ranges\s+half/,
    );
    const { targets } = JSON.parse(readFileSync(at.path('out', 'quantc.report.json'), 'utf8')) as {
      readonly targets: readonly TargetReport[];
    };
    expect(targets[0]!.ledger.find(({ node }) => node === 'activation')!.plugin).to.equal('sample');
  });

  it('passes shows where each sits, targets and explain know the target', async () => {
    const passes = await invoke(['passes', ...sample()]);
    expect(passes.code, passes.err).to.equal(0);
    expect(passes.out).to.match(/fold-affine .*\n\s+relu-to-leaky\s+plugin sample: Relu/);
    const json = await invoke(['passes', '--json', ...sample()]);
    expect(json.out).to.contain('"plugin": "sample"');
    const targets = await invoke(['targets', ...sample()]);
    expect(targets.out).to.match(/my-chip {2}nothing but convolutions/);
    const explained = await invoke(['explain', at.model, '--target', 'my-chip', '--all', ...sample()]);
    expect(explained.code, explained.err).to.equal(0);
    expect(explained.out).to.match(/first.*QLinearConv/);
  });

  it('says what is wrong with a module', async () => {
    const refusal = async (name: string, text?: string): Promise<string> => {
      if (text !== undefined) writeFileSync(at.path(name), text);
      const { code, err } = await invoke([
        'compile',
        at.model,
        '--plugin',
        at.path(name),
        '--out',
        at.path('none'),
      ]);
      expect(code).to.equal(2);
      return err;
    };
    expect(await refusal('absent.ts'))
      .to.contain('E_PLUGIN_LOAD')
      .and.to.contain('there is no');
    expect(await refusal('throws.ts', 'throw new Error("boom")')).to.contain('it cannot be loaded: boom');
    expect(await refusal('empty.ts', 'export {}')).to.contain('it exports no plugin');
    expect(await refusal('other.ts', 'export default { name: "other" }')).to.contain('E_PLUGIN_SHAPE');
    expect(await refusal('lost.ts', PLUGIN.replace('fold-affine', 'fold-afine'))).to.contain(
      'Did you mean `fold-affine`?',
    );
  });

  it('builds with plugins of a config, in processes of their own, and anew when a source of theirs changes', async () => {
    writeFileSync(
      at.path('quantc.config.ts'),
      `import { defineConfig } from 'quantc';
       import sample from './sample';
       export default defineConfig({
         plugins: [sample],
         models: { net: { model: 'net.onnx', targets: ['my-chip'], calib: 'x.calib.npy', ranges: 'half', algorithms: ['none'] } },
         cache: 'cache',
       });`,
    );
    const run = (): Promise<BuildResult> => build({ config: at.path('quantc.config.ts') });
    const first = await run();
    expect([first.built, first.kept]).to.deep.equal([1, 0]);
    expect(first.reports['net']![0]!.plugins![0]!.passes[0]!.changed).to.equal(1);
    expect(first.sources).to.include(at.path('chip.ts'));
    const again = await run();
    expect([again.built, again.kept]).to.deep.equal([0, 1]);
    writeFileSync(at.path('chip.ts'), CHIP.replace('limit: 64', 'limit: 127'));
    const changed = await run();
    expect([changed.built, changed.kept]).to.deep.equal([1, 0]);
    const digest = ({ reports }: BuildResult) => reports['net']![0]!.files[0]!.sha256;
    expect(digest(changed)).not.to.equal(digest(first));
  });

  it('names the model beside the plugin where a build fails', async () => {
    writeFileSync(
      at.path('bad.ts'),
      PLUGIN.replace('replace: ({ x }, op) =>', 'replace: ({ x }, op) => x.nothing.at[0] &&'),
    );
    writeFileSync(
      at.path('bad.config.ts'),
      `import bad from './bad';
       export default { plugins: [bad], models: { net: { model: 'net.onnx', precision: 'fp16' } }, cache: false };`,
    );
    const error = await build({ config: at.path('bad.config.ts') }).then(
      () => expect.fail('it was built'),
      (thrown: QuantcError) => thrown,
    );
    expect(error.code).to.equal('E_PLUGIN_FAILED');
    expect(error.message).to.contain('net for cpu-x64: plugin sample failed: replace of relu-to-leaky');
    expect(error.place).to.deep.equal({ plugin: 'sample', pass: 'relu-to-leaky', node: 'activation' });
  });
});
