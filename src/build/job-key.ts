/** What a job's outputs depend on, as one digest: the same key, the same bytes. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { MODULE_ENDINGS } from '../calibration/sources/module-endings.js';
import { codeDigest, codeFiles } from '../compile/code-digest.js';
import { filesOf } from '../compile/staging.js';
import { digestData } from './digest-files.js';
import { type BuildJob, isBuiltIn } from './job.js';
import { Remembered } from './remembered.js';

/** Packages whose versions decide what is computed, and what pictures become. */
const ENGINES = ['onnxruntime-node', 'sharp'];

/**
 * SHA-256 over quantc's code, the engines, the model with its external data, the data, and every option. Functions
 * (targets and plugins of the user's own) count as the sources that they come from.
 * @param sources the config and what it loads
 * @param remembered spares what has not changed from being read again
 * @throws QuantcError what reading the model, and data that a module gives, does
 */
export async function jobKey(
  { request, target }: BuildJob,
  sources: readonly string[],
  remembered = new Remembered(undefined),
): Promise<string> {
  const { model, calib, eval: evaluation, layout, targets: _own, plugins = [], ...options } = request;
  const shapes = Object.keys(request.shapes ?? {});
  const files = await filesOfModel(model, remembered);
  const digestAll = (paths: readonly string[]) => Promise.all(paths.map((path) => remembered.digest(path)));
  const digest = async (path: string, split: 'calib' | 'eval') => {
    if (!MODULE_ENDINGS.some((ending) => path.endsWith(ending)))
      return remembered.recall(`data ${path}`, () => digestData(path));
    // A module may make its feeds from anything: they are asked for, rather than its source.
    const [{ openData }, { readModel }] = await Promise.all([
      import('../calibration/data.js'),
      import('../onnx/read.js'),
    ]);
    return (await openData(path, split, readModel(model).graph.inputs)).digest();
  };
  const data = async (path: string | undefined, split: 'calib' | 'eval') =>
    path === undefined ? [] : Promise.all(pathsFor(path, shapes).map((each) => digest(each, split)));
  const builtIn = isBuiltIn(target);
  const own = plugins.length > 0 || hasFunctions(options) || !builtIn ? sources : [];
  const facts = {
    code: await remembered.recall(`code ${import.meta.dirname}`, async () => ({
      value: codeDigest(),
      files: codeFiles(),
    })),
    engines: [...ENGINES.map(versionOf), process.env['QUANTC_ENGINE'] ?? ''],
    model: [basename(model), ...(await digestAll(files))],
    data: [await data(calib, 'calib'), await data(evaluation, 'eval')],
    beside: layout === undefined || layout === 'flat' ? [] : await digestAll(textsBeside(model)),
    options: { ...options, layout, targets: [builtIn ? target.name : target] },
    plugins: plugins.map(({ name }) => name),
    own: await digestAll(own),
  };
  return createHash('sha256').update(JSON.stringify(facts, plainly)).digest('hex');
}

/**
 * A model and every file of external data that it reads from, in one order.
 * @throws QuantcError as `readModel` does
 */
export async function filesOfModel(model: string, remembered: Remembered): Promise<readonly string[]> {
  return remembered.recall(`files ${model}`, async () => {
    const { readModel } = await import('../onnx/read.js');
    const files = [...filesOf(model, readModel(model))].sort();
    return { value: files, files };
  });
}

/** `{shape}` in a path stands for the name of each. */
export const pathsFor = (path: string, shapes: readonly string[]): readonly string[] =>
  path.includes('{shape}') ? shapes.map((shape) => path.replaceAll('{shape}', shape)) : [path];

/**
 * What JSON has no way to write, in words; functions as one word, since the sources say what is in them. Keys come in
 * one order, however they were written.
 */
function plainly(_key: string, value: unknown): unknown {
  if (typeof value === 'function') return 'function';
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (value instanceof Set || value instanceof Map) return [...value];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function hasFunctions(value: unknown): boolean {
  if (typeof value === 'function') return true;
  return typeof value === 'object' && value !== null && Object.values(value).some(hasFunctions);
}

/** What a layout copies from beside the model, and what it completes. */
function textsBeside(model: string): string[] {
  const beside = dirname(model);
  const folders = basename(beside) === 'onnx' ? [beside, dirname(beside)] : [beside];
  return folders.flatMap((folder) =>
    readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.(?:json|txt|jinja)$/.test(entry.name))
      .map((entry) => join(folder, entry.name))
      .sort(),
  );
}

function versionOf(name: string): string {
  const require = createRequire(import.meta.url);
  try {
    const manifest = readFileSync(require.resolve(`${name}/package.json`), 'utf8');
    return `${name} ${(JSON.parse(manifest) as { version: string }).version}`;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'MODULE_NOT_FOUND') return `${name} absent`;
    // A package that does not show its manifest is there all the same.
    if (code === 'ERR_PACKAGE_PATH_NOT_EXPORTED') return `${name} present`;
    throw error;
  }
}
