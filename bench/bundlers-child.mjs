// Builds an app twice with one bundler, or asks for its model twice without any; prints milliseconds. Run by bundlers.ts.
import { join } from 'node:path';

const [app, bundler] = process.argv.slice(2);
const built = new URL('../dist/src/', import.meta.url);
const out = join(app, 'out');
const main = join(app, 'main.js');
const done = (run) =>
  new Promise((resolve, reject) =>
    run((error, stats) => (error || stats?.hasErrors() ? reject(error ?? stats) : resolve())),
  );
const plugin = async () => (await import(new URL('bundlers/unplugin.js', built).href)).default;
const packed = async (make, own) => {
  const compiler = make({
    context: app,
    entry: './main.js',
    mode: 'none',
    output: { path: out },
    plugins: [own],
  });
  await done((tell) => compiler.run(tell));
  await done((tell) => compiler.close(tell));
};
const rolled = async (make, own) => {
  const bundle = await make({ input: main, plugins: [own] });
  await bundle.write({ dir: out, format: 'es' });
  await bundle.close();
};

/** What a build of each takes, its own modules loaded beforehand. */
const BUILDS = {
  'no bundler': async () => async () => {
    const { importModel } = await import(new URL('build/import-model.js', built).href);
    await plugin();
    await importModel({ model: join(app, 'models/net.onnx'), query: 'quantc' });
  },
  Vite: async () => {
    const { build } = await import('vite');
    const settings = { root: app, configFile: false, logLevel: 'silent', build: { outDir: out } };
    return async () => build({ ...settings, plugins: [(await plugin()).vite()] });
  },
  Rollup: async () => {
    const { rollup } = await import('rollup');
    return async () => rolled(rollup, (await plugin()).rollup());
  },
  Rolldown: async () => {
    const { rolldown } = await import('rolldown');
    return async () => rolled(rolldown, (await plugin()).rolldown());
  },
  webpack: async () => {
    const { default: webpack } = await import('webpack');
    return async () => packed(webpack, (await plugin()).webpack());
  },
  Rspack: async () => {
    const { rspack } = await import('@rspack/core');
    return async () => packed(rspack, (await plugin()).rspack());
  },
  esbuild: async () => {
    const { build } = await import('esbuild');
    const settings = { entryPoints: [main], bundle: true, outdir: out, format: 'esm', logLevel: 'silent' };
    return async () => build({ ...settings, plugins: [(await plugin()).esbuild()] });
  },
  Metro: async () => {
    const { default: Metro } = await import('metro');
    const given = await Metro.loadConfig({ cwd: app }, {});
    const packages = new URL('../node_modules', import.meta.url).pathname;
    const config = {
      ...given,
      ...{ projectRoot: app, watchFolders: [app, join(packages, 'metro-runtime')], maxWorkers: 1 },
      ...{ reporter: { update: () => {} }, cacheStores: [] },
      resolver: { ...given.resolver, nodeModulesPaths: [packages] },
      transformer: { ...given.transformer, assetRegistryPath: join(app, 'registry.js') },
    };
    const order = { entry: 'index.js', out: join(app, 'out.js'), platform: 'android', assets: true };
    return async () => {
      const { withQuantc } = await import(new URL('bundlers/metro.js', built).href);
      await Metro.runBuild(withQuantc(config), order);
    };
  },
};

const build = await BUILDS[bundler]();
const times = [];
for (let time = 0; time < 2; time++) {
  const begin = performance.now();
  await build();
  times.push(performance.now() - begin);
}
console.log(JSON.stringify(times));
process.exit(0);
