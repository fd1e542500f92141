/** The part for Vite: its dev server answers with compiled models, and tells the page when one has changed. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { UnpluginOptions } from 'unplugin';
import { isImport, splitId } from '../build/import-job.js';
import { type CompiledImport, compileImport, moduleText } from './compiled-import.js';
import type { BundlerOptions } from './options.js';
import { serve } from './serve.js';

/** What of Vite is used. */
interface Config {
  readonly command: 'build' | 'serve';
  readonly root: string;
  readonly base: string;
  readonly build: { readonly assetsDir: string };
}
interface Context {
  emitFile(file: { type: 'asset'; fileName: string; source: Uint8Array }): string;
  addWatchFile(id: string): void;
  readonly environment?: { readonly config: { readonly consumer: string } };
}
interface Server {
  readonly middlewares: {
    use(
      handle: (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void,
    ): void;
  };
  readonly watcher: { add(paths: readonly string[]): void };
}
interface Change {
  readonly file: string;
  readonly modules: readonly object[];
}
interface Environment {
  readonly environment: { readonly moduleGraph: { getModuleById(id: string): object | undefined } };
}

/** Where the dev server has compiled models, below its base. */
const SERVED = '@quantc/';

export function viteParts(
  options: BundlerOptions,
): Required<Pick<UnpluginOptions, 'load'>> & NonNullable<UnpluginOptions['vite']> {
  let config: Config = { command: 'build', root: process.cwd(), base: '/', build: { assetsDir: 'assets' } };
  let server: Server | undefined;
  const served = new Map<string, Uint8Array>();
  /** By the id of a module, the files that it was made from. */
  const sources = new Map<string, readonly string[]>();

  const inDevelopment = (compiled: CompiledImport): string => {
    for (const { fileName, source } of compiled.assets) served.set(fileName, source);
    return moduleText(compiled, (at) =>
      JSON.stringify(`${config.base}${SERVED}${compiled.assets[at]!.fileName}`),
    );
  };
  const inBuild = (
    compiled: CompiledImport,
    { environment, emitFile }: Context,
    context: Context,
  ): string => {
    const onServer = environment?.config.consumer === 'server';
    // A server tells clients of the file that the client's build has; a base that is relative is of no use to it.
    if (onServer && config.base.startsWith('/'))
      return moduleText(compiled, (at) => JSON.stringify(config.base + compiled.assets[at]!.fileName));
    const references = compiled.assets.map(({ fileName, source }) =>
      emitFile.call(context, { type: 'asset', fileName, source }),
    );
    return moduleText(compiled, (at) => `import.meta.ROLLUP_FILE_URL_${references[at]}`);
  };

  return {
    load: {
      filter: { id: /[?&]quantc(?:[&=#]|$)/ },
      async handler(id: string) {
        if (!isImport(id)) return undefined;
        const context = this as unknown as Context;
        const [path, query] = splitId(id);
        const assets = options.assets ?? config.build.assetsDir;
        // What mends a model that cannot be compiled is a change of it.
        sources.set(id, [path]);
        const compiled = await compileImport(path, query, { ...options, assets }, config.root);
        const read = compiled.result.sources.map(slashed);
        sources.set(id, read);
        for (const each of read) context.addWatchFile(each);
        server?.watcher.add(read);
        return config.command === 'serve' ? inDevelopment(compiled) : inBuild(compiled, context, context);
      },
    },
    configResolved(resolved) {
      config = resolved as unknown as Config;
    },
    configureServer(given) {
      server = given as unknown as Server;
      server.middlewares.use((request, response, next) => {
        // Vite may have taken the base off.
        const path = decodeURIComponent((request.url ?? '').split('?', 1)[0]!);
        const [, name] = path.split(`/${SERVED}`);
        if (name === undefined) {
          next();
          return;
        }
        const bytes = served.get(name);
        if (bytes === undefined) response.writeHead(404).end();
        else serve(bytes, request, response);
      });
    },
    hotUpdate(change) {
      const { file, modules } = change as unknown as Change;
      const { moduleGraph } = (this as unknown as Environment).environment;
      const ours = [...sources]
        .filter(([, read]) => read.includes(slashed(file)))
        .map(([id]) => moduleGraph.getModuleById(id))
        .filter((module) => module !== undefined && !modules.includes(module));
      return ours.length === 0 ? undefined : ([...modules, ...ours] as never);
    },
  };
}

const slashed = (path: string): string => join(path).split('\\').join('/');
