/** What an author finds who has the guide and the package, and nothing else of this repository. */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { build, encodeModel, parseModel, type Report } from '../../src/index.js';
import { invoke } from '../cli/invoke.js';

const root = join(import.meta.dirname, '..', '..');
const guide = readFileSync(join(root, 'docs', 'pass-authors-guide.md'), 'utf8');

/** A listing of the guide that names its file. */
function listing(file: string): string {
  const found = guide.split('```').find((part) => part.startsWith(`ts ${file}\n`));
  if (found === undefined) throw new Error(`the guide has no listing of ${file}`);
  return found.slice(found.indexOf('\n') + 1);
}

/** The package as if it were installed, from sources: what is built may be older. */
function install(folder: string): void {
  const place = join(folder, 'node_modules', 'quantc');
  mkdirSync(place, { recursive: true });
  for (const part of ['src', 'passes', 'targets'])
    symlinkSync(join(root, part), join(place, part), 'junction');
  const exports = { '.': './src/index.ts', './testing': './src/testing/index.ts' };
  writeFileSync(join(place, 'package.json'), JSON.stringify({ name: 'quantc', type: 'module', exports }));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
}

/** Runs a test file as its README says. @returns what it prints @throws what it prints, where it fails */
function runTest(folder: string, file: string): string {
  const { NODE_OPTIONS: _options, NODE_TEST_CONTEXT: _context, ...env } = process.env;
  const words = ['--import', import.meta.resolve('tsx'), '--test', file];
  return execFileSync(process.execPath, words, { cwd: folder, env, encoding: 'utf8', stdio: 'pipe' });
}

describe('outside this repository', () => {
  let folder: string;
  before(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'quantc-outside-test-')));
    install(folder);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('the rewrite of the guide is short, passes its test, fires, and shows in trace, ledger and report', async () => {
    const plugin = listing('abs-of-negation.ts');
    expect(plugin.trim().split('\n').length).to.be.below(30);
    writeFileSync(join(folder, 'abs-of-negation.ts'), plugin);
    writeFileSync(join(folder, 'abs-of-negation.test.ts'), listing('abs-of-negation.test.ts'));
    expect(runTest(folder, 'abs-of-negation.test.ts')).to.match(/pass 1\b/);

    const net = `<ir_version: 10, opset_import: ["": 21]>
g (float[2,4] x) => (float[2,4] y) {
  [one] a = Neg (x)
  [two] b = Abs (a)
  [end] y = Sin (b)
}`;
    writeFileSync(join(folder, 'net.onnx'), encodeModel(parseModel(net)));
    const out = join(folder, 'out');
    const words = ['compile', join(folder, 'net.onnx'), '--precision', 'float', '--no-cache', '--out', out];
    const done = await invoke([...words, '--plugin', join(folder, 'abs-of-negation.ts')], {
      QUANTC_TRACE: '2',
    });
    expect(done.code, done.err).to.equal(0);
    expect(done.err).to.match(/abs-of-negation \(my-rewrites\) .* 1 change\n {6}\+ two: abs-of-negation/);
    const report = JSON.parse(readFileSync(join(out, 'quantc.report.json'), 'utf8')) as Report;
    const [target] = report.targets;
    expect(target!.ledger.map(({ node, plugin: by }) => [node, by])).to.deep.equal([
      ['two', 'my-rewrites'],
      ['end', undefined],
    ]);
    expect(target!.plugins![0]!.passes[0]).to.include({ pass: 'abs-of-negation', changed: 1 });
    expect(target!.proof.outputs[0]!.sqnr, 'equal bit for bit').to.equal(null);
  });

  it('the pass of the guide that broke a graph is found out', async () => {
    const broken = listing('abs-of-negation.ts').replace('=> op.Abs(x),', '=> undefined,');
    writeFileSync(join(folder, 'broken.ts'), broken);
    const words = [
      'compile',
      join(folder, 'net.onnx'),
      '--precision',
      'float',
      '--out',
      join(folder, 'none'),
    ];
    const done = await invoke([...words, '--plugin', join(folder, 'broken.ts')]);
    expect(done.code).to.equal(2);
    expect(done.err).to.contain('plugin my-rewrites').and.to.contain('abs-of-negation');
  });

  for (const [example, test] of [
    ['custom-pass', 'pool-to-mean.test.ts'],
    ['custom-target', 'tiny-dsp.test.ts'],
  ] as const) {
    it(`the example ${example} tests and builds what it says`, async () => {
      const place = join(folder, 'examples', example);
      cpSync(join(root, 'examples', example), place, { recursive: true });
      cpSync(join(root, 'models', 'shapes-cnn'), join(folder, 'models', 'shapes-cnn'), { recursive: true });
      expect(runTest(place, test)).to.match(/fail 0\b/);
      const { reports } = await build({ config: join(place, 'quantc.config.ts') });
      const [report] = reports['shapes']!;
      expect(report!.proof.status).to.equal('passed');
      const { float, quantized } = report!.proof.evaluation!;
      expect(quantized).to.be.at.least(float - 0.03);
      if (example === 'custom-pass') {
        expect(report!.plugins![0]!.passes[0]!.changed).to.equal(1);
        expect(
          report!.ledger.filter(({ plugin }) => plugin === 'pool-to-mean-plugin').map(({ opType }) => opType),
        ).to.deep.equal(['ReduceMean']);
      } else {
        expect(reports['shapes']!.map(({ target }) => target)).to.deep.equal(['tiny-dsp', 'cpu-x64']);
        const kernels = report!.ledger
          .filter(({ precision }) => precision === 'int8')
          .map(({ opType }) => opType);
        expect(kernels).to.include('Conv');
        expect(
          report!.ledger.filter(({ opType }) => opType === 'Gemm').every(({ kernel }) => kernel !== 'QGemm'),
        ).to.equal(true);
      }
    });
  }
});
