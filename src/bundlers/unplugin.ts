/**
 * `import url from './net.onnx?quantc&target=webgpu&precision=int4'` in Vite, Rollup, Rolldown, webpack, Rspack and
 * esbuild: the model is compiled for the app's build, and the import is the URL of what came of it. Compiled models are
 * kept where `quantc build` keeps them, so that a second build finds them.
 */
import { dirname, resolve } from 'node:path';
import { createUnplugin, type UnpluginFactory, type UnpluginInstance, type UnpluginOptions } from 'unplugin';
import { isImport, splitId } from '../build/import-job.js';
import { compileImport, moduleText } from './compiled-import.js';
import { esbuildSetup } from './esbuild.js';
import type { BundlerOptions } from './options.js';
import { viteParts } from './vite.js';

export type { BundlerOptions } from './options.js';

/** What of Rollup's context is used: Vite and Rolldown have the same. */
interface RollupContext {
  resolve(
    id: string,
    importer: string | undefined,
    options: { readonly skipSelf: boolean },
  ): Promise<{ readonly id: string } | null>;
  emitFile(file: { type: 'asset'; fileName: string; source: Uint8Array }): string;
  addWatchFile(id: string): void;
  readonly environment?: { readonly config: { readonly consumer: string } };
}

/** What of webpack's and Rspack's loaders is used. */
interface LoaderContext {
  emitFile(name: string, content: Buffer): void;
}

const NAME = 'quantc';
const IMPORTS = /[?&]quantc(?:[&=#]|$)/;

/** For Rollup and Rolldown, and for what builds with them. */
function rollupHooks(options: BundlerOptions, root: string): Pick<UnpluginOptions, 'resolveId' | 'load'> {
  return {
    resolveId: {
      filter: { id: IMPORTS },
      async handler(id, importer) {
        if (!isImport(id)) return undefined;
        const [path, query] = splitId(id);
        const found = await (this as unknown as RollupContext).resolve(path, importer, { skipSelf: true });
        const from = importer === undefined ? root : dirname(splitId(importer)[0]);
        const file = found === null ? resolve(from, path) : splitId(found.id)[0];
        return `${file}?${query}`;
      },
    },
    load: {
      filter: { id: IMPORTS },
      async handler(id) {
        if (!isImport(id)) return undefined;
        const context = this as unknown as RollupContext;
        const compiled = await compileImport(...splitId(id), options, root);
        for (const each of compiled.result.sources) context.addWatchFile(each);
        const references = compiled.assets.map(({ fileName, source }) =>
          context.emitFile({ type: 'asset', fileName, source }),
        );
        return moduleText(compiled, (index) => `import.meta.ROLLUP_FILE_URL_${references[index]}`);
      },
    },
  };
}

/** For webpack and Rspack, which find the file by themselves and leave the query to loaders. */
const loaderHooks = (options: BundlerOptions, root: string): Pick<UnpluginOptions, 'load'> => ({
  load: {
    // They are asked by path alone.
    filter: { id: /\.onnx(?:\?|$)/i },
    async handler(id) {
      if (!isImport(id)) return undefined;
      const compiled = await compileImport(...splitId(id), options, root);
      for (const each of compiled.result.sources) this.addWatchFile(each);
      const native = this.getNativeBuildContext?.() as { readonly loaderContext: LoaderContext };
      // What a loader emits is kept with the module, where the bundler keeps modules between builds.
      for (const { fileName, source } of compiled.assets)
        native.loaderContext.emitFile(fileName, Buffer.from(source.buffer, source.byteOffset, source.length));
      return moduleText(
        compiled,
        (index) => `__webpack_public_path__ + ${JSON.stringify(compiled.assets[index]!.fileName)}`,
      );
    },
  },
});

const factory: UnpluginFactory<BundlerOptions | undefined> = (options = {}, { framework }) => {
  const root = process.cwd();
  const common = { name: NAME, enforce: 'pre' } as const;
  switch (framework) {
    case 'webpack':
    case 'rspack':
      return { ...common, ...loaderHooks(options, root) };
    case 'esbuild':
      return { ...common, esbuild: { setup: esbuildSetup(options) } };
    case 'vite': {
      const { load, ...vite } = viteParts(options);
      return { ...common, ...rollupHooks(options, root), load, vite };
    }
    default:
      return { ...common, ...rollupHooks(options, root) };
  }
};

/** One plugin for every bundler: `quantc.vite()`, `quantc.rollup()`, `quantc.webpack()` … */
export const quantc: UnpluginInstance<BundlerOptions | undefined, false> = createUnplugin(factory);

export default quantc;

export const { vite, rollup, rolldown, webpack, rspack, esbuild } = quantc;
