/**
 * Metro, which bundles React Native and Expo apps: `require('./net.onnx')` gives the compiled model.
 *
 * ```js
 * const { getDefaultConfig } = require('@react-native/metro-config');
 * const { withQuantc } = require('quantc/metro');
 * module.exports = withQuantc(getDefaultConfig(__dirname), { target: 'cpu-arm64', format: 'ort' });
 * ```
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { basename, dirname, extname, join, resolve } from 'node:path';
import type { ImportedFile, ImportResult } from '../build/import-model.js';
import { importModel } from '../build/import-model.js';
import { nearestConfig } from '../build/load-config.js';
import { defaultCacheFolder } from '../compile/cache-folder.js';
import { digestBytes } from '../compile/file-digest.js';
import { QuantcError } from '../errors/error.js';
import { VERSION } from '../report/version.js';
import type { BundlerOptions } from './options.js';
import { serve } from './serve.js';

export interface MetroOptions extends Omit<BundlerOptions, 'assets' | 'formats'> {
  /** What the app loads: `onnx`, or ONNX Runtime's own format. Default `onnx`. */
  readonly format?: 'onnx' | 'ort';
}

/** What of Metro's config is used; the rest stays as it is. */
export interface MetroConfig {
  readonly projectRoot?: string;
  readonly cacheVersion?: string;
  readonly resolver?: { readonly assetExts?: readonly string[] };
  readonly transformer?: { readonly assetPlugins?: readonly string[] };
  readonly server?: { readonly enhanceMiddleware?: (middleware: Middleware, server: never) => Middleware };
}

type Middleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => unknown;

/** What of Metro's assets is used. */
export interface AssetData {
  readonly name: string;
  readonly type: string;
  readonly files: readonly string[];
  readonly hash: string;
  readonly fileSystemLocation: string;
  readonly httpServerLocation: string;
}

/** Endings of models, which Metro does not know by itself. */
const ENDINGS = ['onnx', 'ort'];

/**
 * A config of Metro whose assets that are models are compiled, at bundling and by the dev server.
 * @param options count where no `quantc.config.*` says otherwise
 * @throws QuantcError E_METRO_CONFIG
 */
export function withQuantc<T extends object>(given: T, options: MetroOptions = {}): T {
  const config = given as T & MetroConfig;
  const root = config.projectRoot ?? process.cwd();
  const folder = join(defaultCacheFolder(root), 'metro');
  const known = config.resolver?.assetExts;
  if (known === undefined) {
    throw new QuantcError('E_METRO_CONFIG', 'the config has no resolver.assetExts to add models to', {
      kind: 'usage',
      hint: "Give it the whole config, as `getDefaultConfig(__dirname)` of the app's framework makes it.",
    });
  }
  const said = typeof options.config === 'string' ? options.config : nearestConfig(root);
  // What Metro keeps of assets depends on these besides the model's own bytes.
  const state = [
    VERSION,
    JSON.stringify(options),
    said && existsSync(said) ? readFileSync(said, 'utf8') : '',
  ];
  const then = config.server?.enhanceMiddleware;
  return {
    ...config,
    cacheVersion: `${config.cacheVersion ?? ''}quantc-${digestBytes(state.join('\0')).slice(0, 16)}`,
    resolver: {
      ...config.resolver,
      assetExts: [...new Set([...known, ...ENDINGS])],
    },
    transformer: {
      ...config.transformer,
      assetPlugins: [...(config.transformer?.assetPlugins ?? []), pluginFor(options, root, folder)],
    },
    server: {
      ...config.server,
      enhanceMiddleware: (middleware: Middleware, server: never): Middleware => {
        const next = then?.(middleware, server) ?? middleware;
        return (request, response, fail) => {
          const bytes = compiledFor(request.url ?? '', folder);
          return bytes === undefined ? next(request, response, fail) : serve(bytes, request, response);
        };
      },
    },
  };
}

/**
 * Metro wants the path of a module whose export is the plugin; one is written that knows the options.
 * @returns its path
 */
function pluginFor(options: MetroOptions, root: string, folder: string): string {
  // A module of CommonJS, which is what Metro requires; the rest is loaded when an asset comes.
  const told = JSON.stringify({ options, root, folder });
  const text = `module.exports = async (asset) =>
  (await import(${JSON.stringify(import.meta.url)})).compileAsset(asset, ${told});
`;
  const file = join(folder, `plugin-${digestBytes(text).slice(0, 16)}.cjs`);
  if (!existsSync(file)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${file}.${process.pid}`, text);
    renameSync(`${file}.${process.pid}`, file);
  }
  return file;
}

/** The dev server asks for an asset by its hash; ours are named by theirs. */
function compiledFor(url: string, folder: string): Uint8Array | undefined {
  const hash = /[?&]hash=([0-9a-f]{64})(?:&|$)/.exec(url)?.[1];
  if (hash === undefined) return undefined;
  const file = join(folder, hash);
  if (!existsSync(file)) return undefined;
  const bytes = readFileSync(file);
  return digestBytes(bytes) === hash ? bytes : undefined;
}

/**
 * The asset with the compiled model in its model's place; other assets as they are.
 * @param folder in which models lie that the dev server answers with, by their digests
 * @throws QuantcError E_METRO_FILES where the model wants files beside it, and those of `importModel`
 */
export async function compileAsset(
  asset: AssetData,
  {
    options,
    root,
    folder,
  }: { readonly options: MetroOptions; readonly root: string; readonly folder: string },
): Promise<AssetData> {
  const [model] = asset.files;
  if (asset.type !== 'onnx' || model === undefined) return asset;
  const { target = 'cpu-arm64', format = 'onnx', config, ...rest } = options;
  const result = await importModel(
    {
      model,
      query: format === 'ort' ? 'quantc&formats=onnx,ort' : 'quantc',
      otherwise: { binding: 'react-native', ...rest, targets: [target] },
    },
    { ...(config !== undefined && { config: config === false ? false : resolve(root, config) }) },
  );
  const file = deliverable(result, format, model);
  const place = join(folder, file.sha256);
  if (!existsSync(place)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${place}.${process.pid}`, file.bytes);
    renameSync(`${place}.${process.pid}`, place);
  }
  return {
    ...asset,
    type: extname(file.path).slice(1),
    files: [place],
    fileSystemLocation: dirname(place),
    hash: file.sha256,
  };
}

/** An asset is one file. */
function deliverable({ files, report }: ImportResult, format: string, model: string): ImportedFile {
  const own = new Set(report.files.map(({ path }) => basename(path)));
  const found = files.find(({ path }) => path.endsWith(`.${format}`));
  const data = files.filter(
    ({ path }) => own.has(basename(path)) && !/\.(?:onnx|ort|json|config)$/.test(path),
  );
  if (found !== undefined && (data.length === 0 || format === 'ort')) return found;
  throw new QuantcError('E_METRO_FILES', `an asset is one file, and ${basename(model)} has ${files.length}`, {
    place: { file: model },
    hint: 'Deliver such a model with `quantc build`, in a phase of Xcode or a task of Gradle.',
  });
}
