/** Builds the app with each bundler, as its users call it. */
import { join } from 'node:path';
import quantc from '../../src/bundlers/unplugin.js';

/** @throws what the bundler says of a build that fails */
export type Build = (app: string, out: string, options?: { readonly publicPath?: string }) => Promise<void>;

interface Stats {
  hasErrors(): boolean;
  toString(options: object): string;
}

const packed = (run: (done: (error: Error | null, stats?: Stats) => void) => void): Promise<void> =>
  new Promise((resolve, reject) =>
    run((error, stats) => {
      if (error) reject(error);
      else if (stats?.hasErrors()) reject(new Error(stats.toString({ all: false, errors: true })));
      else resolve();
    }),
  );

export const BUILDERS: Readonly<Record<string, Build>> = {
  async Vite(app, out, { publicPath } = {}) {
    const { build } = await import('vite');
    await build({
      ...{ root: app, configFile: false, logLevel: 'silent', plugins: [quantc.vite()] },
      ...(publicPath !== undefined && { base: publicPath }),
      build: { outDir: out, emptyOutDir: false, minify: false },
    });
  },
  async Rollup(app, out) {
    const { rollup } = await import('rollup');
    const bundle = await rollup({ input: join(app, 'main.js'), plugins: [quantc.rollup()] });
    await bundle.write({ dir: out, format: 'es' });
    await bundle.close();
  },
  async Rolldown(app, out) {
    const { rolldown } = await import('rolldown');
    const bundle = await rolldown({ input: join(app, 'main.js'), plugins: [quantc.rolldown()] });
    await bundle.write({ dir: out, format: 'es' });
    await bundle.close();
  },
  async webpack(app, out, { publicPath = 'auto' } = {}) {
    const { default: webpack } = await import('webpack');
    const compiler = webpack({
      ...{ context: app, entry: './main.js', mode: 'none', output: { path: out, publicPath } },
      plugins: [quantc.webpack()],
    })!;
    await packed((done) => compiler.run(done));
    await packed((done) => compiler.close((error) => done(error ?? null)));
  },
  async Rspack(app, out, { publicPath = 'auto' } = {}) {
    const { rspack } = await import('@rspack/core');
    const compiler = rspack({
      ...{ context: app, entry: './main.js', mode: 'none', output: { path: out, publicPath } },
      plugins: [quantc.rspack()],
    });
    await packed((done) => compiler.run(done));
    await packed((done) => compiler.close((error) => done(error ?? null)));
  },
  async esbuild(app, out, { publicPath } = {}) {
    const { build } = await import('esbuild');
    await build({
      ...{
        entryPoints: [join(app, 'main.js')],
        bundle: true,
        outdir: out,
        format: 'esm',
        logLevel: 'silent',
      },
      ...(publicPath !== undefined && { publicPath }),
      plugins: [quantc.esbuild()],
    });
  },
};
