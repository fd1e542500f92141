/** The same app with each bundler: the compiled model is in the output, and the second build compiles nothing. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { largeModel } from '../../models/make-large.js';
import { importModel } from '../../src/build/import-model.js';
import { readModel } from '../../src/onnx/read.js';
import { writeModel } from '../../src/onnx/write.js';
import { builds, makeApp, modelsIn } from './app.js';
import { BUILDERS } from './builders.js';

describe('plugins of bundlers', () => {
  let app: string;
  let compiled: string;
  before(async () => {
    app = makeApp();
    const imported = { model: join(app, 'models/net.onnx'), query: 'quantc&precision=int8-dynamic' };
    const { files, kept } = await importModel(imported);
    expect(kept).to.equal(false);
    compiled = files[0].sha256;
  });
  after(() => rmSync(app, { recursive: true, force: true }));

  const scripts = (out: string): string =>
    readdirSync(out, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.js'))
      .map((name) => readFileSync(join(out, name), 'utf8'))
      .join('\n');

  for (const [name, build] of Object.entries(BUILDERS)) {
    it(`${name} emits the compiled model under a hashed name, and finds it kept`, async () => {
      const kept = builds(app);
      const out = join(app, `out-${name}`);
      await build(app, out);
      const first = modelsIn(out);
      expect(Object.values(first)).to.deep.equal([compiled]);
      const [path] = Object.keys(first);
      expect(path).to.match(/^assets\/net\.cpu-x64-[0-9a-f]{8}\.onnx$/);
      expect(scripts(out)).to.contain(path!.split('/').pop());
      const again = join(app, `again-${name}`);
      await build(app, again);
      expect(modelsIn(again)).to.deep.equal(first);
      expect(builds(app)).to.deep.equal(kept);
    });
  }

  for (const name of ['Vite', 'webpack', 'Rspack', 'esbuild']) {
    it(`${name} puts its public path before the model's`, async () => {
      const out = join(app, `public-${name}`);
      await BUILDERS[name]!(app, out, { publicPath: '/app/' });
      const text = scripts(out);
      if (name === 'webpack' || name === 'Rspack') expect(text).to.match(/\.p\s*=\s*["']\/app\/["']/);
      else if (name === 'esbuild')
        expect(text).to.match(/["']\/app\/assets\/net\.cpu-x64-[0-9a-f]{8}\.onnx["']/);
      else
        expect(text).to.match(
          /new URL\(["'][^"']*net\.cpu-x64-[0-9a-f]{8}\.onnx["'], ?import\.meta\.url\)|\/app\/assets\/net/,
        );
    });
  }

  it('emits weights beside a model under the names that it calls them by', async () => {
    await writeModel(largeModel(1, 64), join(app, 'models/large.onnx'), { externalData: 'always' });
    const main = readFileSync(join(app, 'main.js'), 'utf8');
    writeFileSync(
      join(app, 'main.js'),
      "import url, { externalData } from './models/large.onnx?quantc&precision=float';\nconsole.log(url, externalData);",
    );
    const out = join(app, 'external');
    await BUILDERS['Rollup']!(app, out).finally(() => writeFileSync(join(app, 'main.js'), main));
    const [path] = Object.keys(modelsIn(out));
    expect(path).to.match(/^assets\/large\.cpu-x64-[0-9a-f]{8}\/large\.cpu-x64\.onnx$/);
    const files = readdirSync(join(out, dirname(path!))).sort();
    expect(files).to.deep.equal(['large.cpu-x64.onnx', 'large.cpu-x64.onnx_data']);
    expect(scripts(out)).to.contain('path: "large.cpu-x64.onnx_data"');
    // It can be read where it lies.
    expect([...readModel(join(out, path!)).graph.initializers].length).to.be.greaterThan(0);
  });

  for (const [name, build] of Object.entries(BUILDERS)) {
    it(`${name} says what is wrong with an import`, async () => {
      const main = readFileSync(join(app, 'main.js'), 'utf8');
      writeFileSync(
        join(app, 'main.js'),
        "import url from './models/net.onnx?quantc&presicion=int8';\nconsole.log(url);",
      );
      const message = await build(app, join(app, `wrong-${name}`)).then(
        () => expect.fail('it was built'),
        (error: Error) => error.message,
      );
      writeFileSync(join(app, 'main.js'), main);
      expect(message).to.contain('E_IMPORT_KEY').and.to.contain('presicion: there is no such key');
      expect(modelsIn(app)).not.to.have.property(`wrong-${name}/assets`);
    });
  }
});
