/** An import of a model as bundlers want it: files with names for the output, and a module that tells their URLs. */
import { basename, extname, resolve } from 'node:path';
import type { ImportResult } from '../build/import-model.js';
import { importModel } from '../build/import-model.js';
import { digestBytes } from '../compile/file-digest.js';
import { QuantcError } from '../errors/error.js';
import type { BundlerOptions } from './options.js';

/** A file of the output. */
export interface Asset {
  /** Path below the folder of the output, with forward slashes. */
  readonly fileName: string;
  readonly source: Uint8Array;
}

export interface CompiledImport {
  /** The model first. Files that refer to each other lie in a folder of their own, under the names that they use. */
  readonly assets: readonly [Asset, ...Asset[]];
  /** By the index of an asset, the path by which the model refers to it. */
  readonly paths: readonly string[];
  readonly result: ImportResult;
}

/** Folder of compiled models where nothing is said. */
const ASSETS = 'assets';

/**
 * @param root folder that paths of the options are relative to
 * @throws Error as a bundler shows it: with the code, the file and the hint
 */
export async function compileImport(
  model: string,
  query: string,
  { target, config, assets = ASSETS, ...otherwise }: BundlerOptions,
  root: string,
): Promise<CompiledImport> {
  const placed = {
    ...otherwise,
    ...(target !== undefined && { targets: [target] }),
    ...(otherwise.calib !== undefined && { calib: resolve(root, otherwise.calib) }),
    ...(otherwise.eval !== undefined && { eval: resolve(root, otherwise.eval) }),
  };
  const imported = { model: resolve(model), query, otherwise: placed };
  try {
    const result = await importModel(imported, {
      ...(config !== undefined && { config: config === false ? false : resolve(root, config) }),
    });
    return { ...named(result, assets), result };
  } catch (error) {
    throw error instanceof QuantcError ? told(error, model) : error;
  }
}

function named({ files, report }: ImportResult, folder: string): Pick<CompiledImport, 'assets' | 'paths'> {
  // What a layout or a format writes besides is for other loaders.
  const own = new Set(report.files.map(({ path }) => basename(path)));
  const [model, ...others] = files;
  const beside = others.filter(
    ({ path }) => own.has(basename(path)) && !/\.(?:onnx|ort|json|config)$/.test(path),
  );
  const all = [model, ...beside] as const;
  const stem = basename(model.path, extname(model.path));
  const hash = digestBytes(all.map(({ sha256 }) => sha256).join()).slice(0, 8);
  const prefix = folder === '' ? '' : `${folder}/`;
  const name = (path: string): string =>
    all.length === 1
      ? `${prefix}${stem}-${hash}${extname(path)}`
      : `${prefix}${stem}-${hash}/${basename(path)}`;
  const [first, ...rest] = all.map(({ path, bytes }) => ({ fileName: name(path), source: bytes }));
  return { assets: [first!, ...rest], paths: all.map(({ path }) => basename(path)) };
}

/**
 * The module of an import.
 * @param urlOf an expression for the URL of each asset
 */
export function moduleText(
  { assets, paths, result }: CompiledImport,
  urlOf: (index: number) => string,
): string {
  const { precision, session, bytesAfter, bytesBefore } = result.report;
  const beside = assets
    .slice(1)
    .map((_, at) => `{ path: ${JSON.stringify(paths[at + 1])}, data: ${urlOf(at + 1)} }`);
  const facts = { target: result.target, precision, bytes: bytesAfter, bytesBefore };
  return [
    `export default ${urlOf(0)};`,
    '// For the session: options that the model wants, and files of weights beside it.',
    `export const sessionOptions = ${JSON.stringify(session)};`,
    `export const externalData = [${beside.join(', ')}];`,
    `export const facts = ${JSON.stringify(facts)};`,
    '',
  ].join('\n');
}

/** An error of ours as one of a bundler: whoever sees it has but its message. */
function told(error: QuantcError, model: string): Error {
  const { code, message, hint, place } = error;
  const where = place.file === undefined || place.file === model ? basename(model) : place.file;
  const text = [`${code}: ${where}: ${message}`, ...(hint === undefined ? [] : [hint])].join('\n');
  return Object.assign(new Error(text, { cause: error }), { code, id: model });
}
