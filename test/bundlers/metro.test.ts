/** Metro: an asset that is a model is the compiled one, in bundles and from the dev server. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import Metro from 'metro';
import { importModel } from '../../src/build/import-model.js';
import { type AssetData, withQuantc } from '../../src/bundlers/metro.js';
import { builds, makeApp, sha256 } from './app.js';

interface Built {
  readonly code: string;
  readonly assets: readonly AssetData[];
}

const PACKAGES = join(import.meta.dirname, '../../node_modules');

describe('Metro', () => {
  let app: string;
  before(() => {
    app = makeApp();
    writeFileSync(join(app, 'package.json'), '{}');
    writeFileSync(join(app, 'index.js'), "globalThis.model = require('./models/net.onnx');");
    writeFileSync(join(app, 'registry.js'), 'module.exports = { registerAsset: (asset) => asset };');
  });
  after(() => rmSync(app, { recursive: true, force: true }));

  const configOf = async (options: Parameters<typeof withQuantc>[1] = {}) => {
    const config = await Metro.loadConfig({ cwd: app, resetCache: true }, {
      projectRoot: app,
      maxWorkers: 1,
    } as never);
    return withQuantc(
      {
        ...config,
        reporter: { update: () => {} },
        cacheStores: [],
        watchFolders: [app, join(PACKAGES, 'metro-runtime')],
        resolver: { ...config.resolver, nodeModulesPaths: [PACKAGES] },
        transformer: { ...config.transformer, assetRegistryPath: join(app, 'registry.js') },
      },
      options,
    );
  };
  const bundle = async (options?: Parameters<typeof withQuantc>[1]): Promise<Built> =>
    (await Metro.runBuild((await configOf(options)) as never, {
      ...{ entry: 'index.js', out: join(app, 'out.js'), platform: 'android', assets: true },
    })) as unknown as Built;

  it('bundles the compiled model, and finds it kept', async () => {
    const { code, assets } = await bundle();
    const [asset, ...others] = assets;
    expect(others).to.deep.equal([]);
    expect([asset!.name, asset!.type, asset!.httpServerLocation]).to.deep.equal([
      'net',
      'onnx',
      '/assets/models',
    ]);
    const { files, kept } = await importModel({
      ...{ model: join(app, 'models/net.onnx'), query: 'quantc' },
      otherwise: { binding: 'react-native', targets: ['cpu-arm64'] },
    });
    expect(kept).to.equal(true);
    expect(asset!.files.map(sha256)).to.deep.equal([files[0].sha256]);
    expect(code).to.contain(files[0].sha256);
    const store = builds(app);
    expect((await bundle()).assets[0]!.hash).to.equal(asset!.hash);
    expect(builds(app)).to.deep.equal(store);
  });

  it("gives ONNX Runtime's own format where it is asked for", async () => {
    const [asset] = (await bundle({ format: 'ort' })).assets;
    expect(asset!.type).to.equal('ort');
    expect(readFileSync(asset!.files[0]!).subarray(4, 8).toString()).to.equal('ORTM');
  });

  it('serves the compiled model in development', async () => {
    const [asset] = (await bundle()).assets;
    const { middleware, end } = await Metro.createConnectMiddleware((await configOf()) as never);
    const server = createServer(middleware as never);
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    try {
      const { port } = server.address() as AddressInfo;
      const url = `http://127.0.0.1:${port}/assets/models/net.onnx?platform=android&hash=${asset!.hash}`;
      const response = await fetch(url);
      expect(response.status).to.equal(200);
      const bytes = Buffer.from(await response.arrayBuffer());
      expect(createHash('sha256').update(bytes).digest('hex')).to.equal(asset!.hash);
      const part = await fetch(url, { headers: { Range: 'bytes=4-7' } });
      expect([part.status, Buffer.from(await part.arrayBuffer())]).to.deep.equal([206, bytes.subarray(4, 8)]);
    } finally {
      await new Promise((closed) => server.close(closed));
      await end();
    }
  });
});

describe('example react-native-asset', () => {
  const APP = join(import.meta.dirname, '../../examples/react-native-asset');

  it('bundles the compiled model', async () => {
    const { inClone } = (await import(pathToFileURL(join(APP, 'settings.js')).href)) as {
      inClone(config: object): object;
    };
    const out = mkdtempSync(join(tmpdir(), 'quantc-metro-'));
    const config = await Metro.loadConfig({ cwd: out }, {});
    try {
      const settings = inClone({ ...config, reporter: { update: () => {} }, cacheStores: [], maxWorkers: 1 });
      const own = { config: join(APP, 'quantc.config.js'), format: 'ort' } as const;
      const built = await Metro.runBuild(withQuantc(settings, own) as never, {
        ...{ entry: 'index.js', out: join(out, 'out.js'), platform: 'android', assets: true },
      });
      const [asset] = (built as unknown as Built).assets;
      expect([asset!.name, asset!.type]).to.deep.equal(['model', 'ort']);
      expect(readFileSync(asset!.files[0]!).subarray(4, 8).toString()).to.equal('ORTM');
      expect(readFileSync(join(out, 'out.js'), 'utf8')).to.contain(asset!.hash);
    } finally {
      rmSync(out, { recursive: true, force: true });
    }
  });
});
