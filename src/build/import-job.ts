/** What an import of a model asks for, as a job: `./net.onnx?quantc&target=webgpu&precision=int4`. */
import { basename, dirname, resolve } from 'node:path';
import { QuantcError } from '../errors/error.js';
import type { QuantcPlugin } from '../plugin/plugin.js';
import type { ModelOptions } from './config.js';
import { type BuildJob, jobsOf } from './job.js';
import type { LoadedConfig } from './load-config.js';
import { checkConfig } from './schema.js';

/** An import, in words that can be sent to another process. */
export interface ImportedModel {
  /** Absolute path of the .onnx file. */
  readonly model: string;
  /** What follows `?quantc`. */
  readonly query: string;
  /** What counts where neither the import nor a config says otherwise; its paths are absolute. */
  readonly otherwise?: ModelOptions;
}

/** The mark of an import that is meant for us. */
const MARK = 'quantc';
/** Words that bundlers put into queries for themselves. */
const OF_BUNDLERS = new Set([MARK, 'import', 't', 'v']);
/** Options by the type of their values; the others are words. */
const NUMBERS = new Set([
  ...['unroll', 'maxPositions', 'dataBytes', 'proofSamples', 'blockSize', 'damping'],
  ...['palettize', 'paletteChannels'],
]);
const SWITCHES = new Set(['kvCache', 'strict', 'symmetricWeights', 'half', 'halfInterfaces']);
const LISTS = new Set(['formats', 'algorithms', 'exclude', 'protect', 'wide', 'budget', 'dense']);
const PATHS = ['calib', 'eval'] as const;

/** Whether an id ends in a query with `quantc` in it. */
export const isImport = (id: string): boolean => /\?(?:[^?#]*&)?quantc(?:[&=#]|$)/.test(id);

/** The path and the query of an id. */
export function splitId(id: string): readonly [path: string, query: string] {
  const at = id.indexOf('?');
  return at < 0 ? [id, ''] : [id.slice(0, at), id.slice(at + 1)];
}

/**
 * What the import says goes before what the config says of the model (by \`name=\`, or by its path), which goes before the
 * config's defaults, which go before \`otherwise\`.
 * @throws QuantcError E_IMPORT_KEY, E_IMPORT_NAME, E_IMPORT_TARGET, E_IMPORT_SHAPES, E_TARGET_UNKNOWN
 */
export function jobOfImport({ model, query, otherwise }: ImportedModel, loaded?: LoadedConfig): BuildJob {
  const asked = parseQuery(query, model, loaded?.config.plugins);
  const folder = loaded === undefined ? dirname(model) : dirname(loaded.file);
  const name = asked.name ?? nameIn(loaded, folder, model) ?? basename(model).replace(/\.onnx$/, '');
  const given = loaded?.config.models[name];
  if (asked.name !== undefined && given === undefined) {
    throw usage(
      'E_IMPORT_NAME',
      model,
      `the config has no model "${name}"`,
      `Models: ${Object.keys(loaded?.config.models ?? {}).join(', ') || 'none'}.`,
    );
  }
  const said = typeof given === 'object' && given !== null ? given : {};
  const options = { ...otherwise, ...loaded?.config.defaults, ...said, ...asked.options };
  const config = { ...loaded?.config, defaults: {}, models: { [name]: { ...options, model } } };
  const [job, ...others] = jobsOf(config, folder);
  if (others.length > 0) {
    const names = [job!, ...others].map(({ target }) => target.name).join(', ');
    throw usage(
      'E_IMPORT_TARGET',
      model,
      `an import gives one file, and ${name} is for ${names}`,
      'Say which, as in `?quantc&target=webgpu`.',
    );
  }
  if (Object.keys(job!.request.shapes ?? {}).length > 0 && job!.request.shape === undefined) {
    throw usage(
      'E_IMPORT_SHAPES',
      model,
      `an import gives one file, and ${name} has one for each shape`,
      'Give the import sizes of its own with `dims` in another model of the config, chosen by `name=`.',
    );
  }
  return job!;
}

/** The name that the config has for a path. @throws QuantcError E_IMPORT_NAME where it has several */
function nameIn(loaded: LoadedConfig | undefined, folder: string, model: string): string | undefined {
  const names = Object.entries(loaded?.config.models ?? {})
    .filter(([, given]) => resolve(folder, typeof given === 'string' ? given : given.model) === model)
    .map(([name]) => name);
  if (names.length < 2) return names[0];
  throw usage(
    'E_IMPORT_NAME',
    model,
    `the config has it under several names: ${names.join(', ')}`,
    `Say which, as in \`?quantc&name=${names[0]}\`.`,
  );
}

function parseQuery(query: string, model: string, plugins?: readonly QuantcPlugin[]) {
  let name: string | undefined;
  const options: Record<string, unknown> = {};
  for (const [key, value] of new URLSearchParams(query.split('#', 1)[0])) {
    if (OF_BUNDLERS.has(key)) continue;
    if (key === 'name') name = value;
    else if (key === 'target') options['targets'] = [value];
    else if (key === 'targets')
      throw usage('E_IMPORT_KEY', model, 'an import has one target', 'Say `target=`.');
    else options[key] = spoken(key, value);
  }
  let checked: ModelOptions;
  try {
    const config = checkConfig(
      { models: { import: { ...options, model } }, ...(plugins && { plugins }) },
      model,
    );
    const { model: _path, ...rest } = config.models['import'] as ModelOptions & { readonly model: string };
    checked = rest;
  } catch (error) {
    if (!(error instanceof QuantcError) || error.code !== 'E_CONFIG_KEY') throw error;
    const hint = error.hint?.replace('Keys of a model: model,', 'Keys of an import: name, target,');
    throw usage('E_IMPORT_KEY', model, error.message.replaceAll('models.import.', ''), hint);
  }
  const placed: Record<string, unknown> = { ...checked };
  for (const key of PATHS)
    if (checked[key] !== undefined) placed[key] = resolve(dirname(model), checked[key]);
  return { name, options: placed as ModelOptions };
}

function spoken(key: string, value: string): unknown {
  if (NUMBERS.has(key)) return value.trim() === '' ? value : Number(value);
  if (SWITCHES.has(key)) return value === '' || value === 'true' ? true : value === 'false' ? false : value;
  return LISTS.has(key) ? value.split(',') : value;
}

const usage = (code: string, file: string, message: string, hint: string | undefined): QuantcError =>
  new QuantcError(code, message, { kind: 'usage', place: { file }, hint });
