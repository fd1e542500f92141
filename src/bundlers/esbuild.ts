/** The part for esbuild: it has its own way from imports to files, and URLs that are relative to the page or to `publicPath`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { splitId } from '../build/import-job.js';
import { digestBytes } from '../compile/file-digest.js';
import { compileImport, moduleText } from './compiled-import.js';
import type { BundlerOptions } from './options.js';

/** What of esbuild's plugins is used. */
interface Build {
  readonly initialOptions: {
    readonly absWorkingDir?: string;
    readonly outdir?: string;
    readonly outfile?: string;
    readonly publicPath?: string;
    readonly write?: boolean;
  };
  resolve(path: string, options: object): Promise<{ readonly errors: object[]; readonly path: string }>;
  onResolve(
    options: { filter: RegExp },
    resolve: (args: ResolveArguments) => Promise<object | undefined>,
  ): void;
  onLoad(
    options: { filter: RegExp; namespace: string },
    load: (args: { path: string; suffix: string }) => Promise<object>,
  ): void;
  onStart(start: () => void): void;
  onEnd(end: (result: Result) => void): void;
}

interface ResolveArguments {
  readonly path: string;
  readonly importer: string;
  readonly resolveDir: string;
  readonly kind: string;
}

interface Result {
  readonly errors: readonly object[];
  readonly outputFiles?: object[];
  readonly metafile?: { readonly outputs: Record<string, object> };
}

const NAMESPACE = 'quantc';

export const esbuildSetup =
  (options: BundlerOptions) =>
  (given: object): void => {
    const build = given as Build;
    const { absWorkingDir = process.cwd(), outdir, outfile, publicPath, write = true } = build.initialOptions;
    const out = resolve(absWorkingDir, outdir ?? (outfile === undefined ? '.' : dirname(outfile)));
    const base = publicPath === undefined ? './' : publicPath.replace(/\/?$/, '/');
    const emitted = new Map<string, Uint8Array>();
    build.onStart(() => emitted.clear());
    build.onResolve(
      { filter: /\?(?:.*&)?quantc(?:[&=#]|$)/ },
      async ({ path, importer, resolveDir, kind }) => {
        const [file, query] = splitId(path);
        const found = await build.resolve(file, { importer, resolveDir, kind });
        if (found.errors.length > 0) return { errors: found.errors };
        return { path: found.path, suffix: `?${query}`, namespace: NAMESPACE };
      },
    );
    build.onLoad({ filter: /.*/, namespace: NAMESPACE }, async ({ path, suffix }) => {
      try {
        const compiled = await compileImport(path, suffix.slice(1), options, absWorkingDir);
        for (const { fileName, source } of compiled.assets) emitted.set(fileName, source);
        return {
          contents: moduleText(compiled, (at) => JSON.stringify(base + compiled.assets[at]!.fileName)),
          loader: 'js',
          watchFiles: compiled.result.sources,
        };
      } catch (error) {
        // Watched all the same: what mends it is a change of these.
        return { errors: [{ text: (error as Error).message, detail: error }], watchFiles: [path] };
      }
    });
    build.onEnd(({ errors, outputFiles, metafile }) => {
      if (errors.length > 0) return;
      for (const [fileName, contents] of emitted) {
        const path = join(out, fileName);
        if (write) {
          mkdirSync(dirname(path), { recursive: true });
          writeFileSync(path, contents);
        } else {
          outputFiles?.push({ path, contents, hash: digestBytes(contents), text: '' });
        }
        if (metafile !== undefined) {
          const name = relative(absWorkingDir, path).split(sep).join('/');
          metafile.outputs[name] = { bytes: contents.length, inputs: {}, imports: [], exports: [] };
        }
      }
    });
  };
