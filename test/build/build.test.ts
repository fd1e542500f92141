/** Builds of a small model: what is kept, what is made anew, and what a lost process or a wrong model does to them. */
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type BuildResult, build } from '../../src/build/build.js';
import type { BuildEvent } from '../../src/build/events.js';
import type { QuantcError } from '../../src/errors/error.js';
import { writeModel } from '../../src/onnx/write.js';
import { parseModel } from '../../src/text/parse.js';

/** Builds of one config at once, over one store. */
const BUILDS = Number(process.env['QUANTC_BUILDS'] ?? 3);

const TEXT = `<ir_version: 10, opset_import: ["" : 21]>
net (float[N, 64] x) => (float[N, 32] y)
<float[64, 32] w = {...}>
{
  y = MatMul (x, w)
}`;

describe('build', () => {
  let folder: string;
  before(async () => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'quantc-build-test-')));
    await writeModel(model(), join(folder, 'net.onnx'), {});
    config("{ precision: 'int4', weightMethod: 'rtn' }");
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const model = () =>
    parseModel(
      TEXT.replace('{...}', `{${Array.from({ length: 64 * 32 }, (_, i) => `${(i % 13) / 7 - 1}`)}}`),
    );
  function config(options: string, before = ''): void {
    writeFileSync(
      join(folder, 'quantc.config.ts'),
      `${before}\nexport default { cache: 'kept', models: { net: { model: 'net.onnx', ...${options} } } };`,
    );
  }
  const run = async (out = 'dist'): Promise<BuildResult & { readonly events: string[] }> => {
    const events: string[] = [];
    const onEvent = (event: BuildEvent): void => {
      events.push(event.kind);
    };
    const result = await build({ config: join(folder, 'quantc.config.ts'), out: join(folder, out), onEvent });
    return { ...result, events };
  };
  const refusal = (out?: string): Promise<QuantcError> =>
    run(out).then(
      () => expect.fail('it was built'),
      (error: QuantcError) => error,
    );

  it('builds once and keeps it; only what it depends on has it built anew', async () => {
    const first = await run();
    expect([first.built, first.kept, first.events]).to.deep.equal([1, 0, ['begun', 'done']]);
    const target = first.manifest.models['net']!['cpu-x64']!;
    expect(target.file).to.equal('net/net.cpu-x64.onnx');
    expect(target.bytes).to.equal(readFileSync(join(folder, 'dist', target.file)).length);
    expect(readdirSync(join(folder, 'dist')).sort()).to.deep.equal(['manifest.json', 'net']);
    const second = await run('again');
    expect([second.built, second.kept, second.events]).to.deep.equal([0, 1, ['kept']]);
    expect(readFileSync(join(folder, 'again/manifest.json'))).to.deep.equal(
      readFileSync(join(folder, 'dist/manifest.json')),
    );
    config("{ weightMethod: 'rtn', precision: 'int4' }", '// The same, said otherwise.');
    expect((await run()).kept).to.equal(1);
    config("{ precision: 'int4', weightMethod: 'rtn', blockSize: 64 }");
    expect((await run()).built).to.equal(1);
  });

  it('mends a damaged store', async () => {
    config("{ precision: 'int4', weightMethod: 'rtn' }");
    await run();
    const whole = readFileSync(join(folder, 'dist/net/net.cpu-x64.onnx'));
    for (const key of readdirSync(join(folder, 'kept/builds')))
      writeFileSync(join(folder, 'kept/builds', key, 'net.cpu-x64.onnx'), 'nonsense');
    // What stands in its place is whole: nothing is taken from the store.
    expect((await run()).kept).to.equal(1);
    const mended = await run('mended');
    expect([mended.built, mended.kept]).to.deep.equal([1, 0]);
    expect(readFileSync(join(folder, 'mended/net/net.cpu-x64.onnx'))).to.deep.equal(whole);
    writeFileSync(join(folder, 'dist/net/net.cpu-x64.onnx'), 'nonsense');
    expect((await run()).kept).to.equal(1);
    expect(readFileSync(join(folder, 'dist/net/net.cpu-x64.onnx'))).to.deep.equal(whole);
  });

  it(`gives ${BUILDS} builds at once the same bytes`, async () => {
    rmSync(join(folder, 'kept'), { recursive: true, force: true });
    const names = Array.from({ length: BUILDS }, (_, index) => `out-${index}`);
    await Promise.all(names.map((name) => run(name)));
    const files = (name: string) =>
      ['manifest.json', 'net/net.cpu-x64.onnx', 'net/quantc.report.json'].map((file) =>
        readFileSync(join(folder, name, file), 'utf8'),
      );
    for (const name of names) expect(files(name)).to.deep.equal(files('out-0'));
    expect(readdirSync(join(folder, 'kept/builds'))).to.have.length(1);
  });

  it('does a job again when its process is lost, and gives up in the end', async () => {
    const dies = (marker: string) => `
import { existsSync, rmSync } from 'node:fs';
if (process.send && existsSync('${join(folder, marker)}')) {
  ${marker === 'once' ? `rmSync('${join(folder, marker)}');` : ''}
  process.kill(process.pid, 'SIGKILL');
}`;
    writeFileSync(join(folder, 'once'), '');
    config("{ precision: 'int4', weightMethod: 'rtn', blockSize: 128 }", dies('once'));
    expect((await run()).events).to.deep.equal(['begun', 'begun', 'done']);
    writeFileSync(join(folder, 'always'), '');
    config("{ precision: 'int4', weightMethod: 'rtn', blockSize: 256 }", dies('always'));
    const { code, message } = await refusal('lost');
    expect([code, message]).to.deep.equal([
      'E_BUILD_LOST',
      'the process for net for cpu-x64 ended without a word, 2 times',
    ]);
    expect(existsSync(join(folder, 'lost'))).to.equal(false);
  });

  it('builds a graph a shape, over one file of weights', async () => {
    config("{ precision: 'int4', weightMethod: 'rtn', shapes: { one: { N: 1 }, eight: { N: 8 } } }");
    const { manifest } = await run('shapes');
    const made = manifest.models['net']!;
    expect(Object.keys(made)).to.deep.equal(['cpu-x64.one', 'cpu-x64.eight']);
    expect(made['cpu-x64.eight']!.files.map(({ path }) => path).sort()).to.deep.equal([
      'net/net.cpu-x64.eight.onnx',
      'net/net.cpu-x64.onnx_data',
    ]);
    expect((await run('shapes')).kept).to.equal(1);
  });

  it('says which model is wrong, and leaves what was there', async () => {
    config("{ precision: 'int4', budget: ['size<=0.0001x'] }");
    const before = readFileSync(join(folder, 'dist/manifest.json'));
    const { code, message } = await refusal();
    expect(code).to.match(/^E_BUDGET/);
    expect(message).to.match(/^net for cpu-x64: /);
    expect(readFileSync(join(folder, 'dist/manifest.json'))).to.deep.equal(before);
    expect(readdirSync(join(folder, 'kept/builds')).filter((name) => name.startsWith('.'))).to.deep.equal([]);
    config("{ precision: 'int4' }");
    const strange = await build({ config: join(folder, 'quantc.config.ts'), only: ['nett'] }).catch(
      (error) => error,
    );
    expect([strange.code, strange.hint]).to.deep.equal(['E_BUILD_MODEL', 'Models: net.']);
  });
});
