/** How the outputs lie in their folder: plainly, or as `@huggingface/transformers` looks for them. */
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { QuantcError } from '../errors/error.js';
import { setType, valuesOf } from '../ir/edit.js';
import type { Model, Node } from '../ir/graph.js';
import { readModel } from '../onnx/read.js';
import type { Precision } from '../recipe.js';
import type { TargetReport } from '../report/report.js';
import { cacheInputs } from '../runtime/first-run.js';
import type { CompileRequest } from './request.js';
import type { Staging } from './staging.js';

export { refuseClash } from './layout-name.js';

/** The data types of transformers.js 4, by what the weights become; others it has no name for. */
const DTYPES: Readonly<Record<string, string>> = {
  float: 'fp32',
  fp16: 'fp16',
  int8: 'q8',
  'int8-dynamic': 'q8',
  'int8-weights': 'int8',
  'int8-blocks': 'int8',
  int4: 'q4',
  int2: 'q2',
};
const SUFFIXES: Readonly<Record<string, string>> = { fp32: '', q8: '_quantized' };

const dtypeFor = (precision: Precision): string | undefined => DTYPES[precision];

/** @throws QuantcError E_LAYOUT_DTYPE where transformers.js has no name for what was made */
function dtypeOf(precision: Precision, made: Model): string {
  const computed = (node: Node): boolean =>
    !node.is('Cast') && node.outputs.some((output) => output.dtype === 'float16');
  const half = dtypeFor(precision) !== 'fp16' && [...made.graph.nodes()].some(computed);
  const dtype = dtypeFor(precision);
  if (half && dtype === 'fp32') return 'fp16';
  if (dtype !== undefined && (!half || /^q[24]$/.test(dtype))) return half ? `${dtype}f16` : dtype;
  throw new QuantcError('E_LAYOUT_DTYPE', `transformers.js has no name for ${precision}`, {
    kind: 'usage',
    hint: `Leave out --layout, or choose one of ${Object.keys(DTYPES).join(', ')}.`,
  });
}

/** Path of the emitted model below the folder for the outputs. */
export function emittedName(
  { model, layout, shape }: Pick<CompileRequest, 'model' | 'layout' | 'shape'>,
  target: string,
  precision: Precision,
  made: Model,
): string {
  const base = basename(model, extname(model));
  if (layout !== 'transformers.js') return `${base}.${target}${shape === undefined ? '' : `.${shape}`}.onnx`;
  const dtype = dtypeOf(precision, made);
  return `onnx/${base}${SUFFIXES[dtype] ?? `_${dtype}`}.onnx`;
}

/** Files beside a model that a loader wants, as the hub names them. */
const COMPANIONS = [
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'vocab.json',
  'merges.txt',
  'chat_template.jinja',
  'preprocessor_config.json',
  'processor_config.json',
];

/** What is written about the models of one compilation. */
interface Patch {
  dtype: Record<string, string>;
  use_external_data_format: Record<string, number>;
  kv_cache_dtype?: Record<string, string>;
}

/**
 * Writes what transformers.js reads beside the models: `config.json`, with `transformers.js_config` completed, and the
 * tokenizer's files. They are looked for beside the model, and above it where it lies in a folder `onnx`; entries that
 * are there already, in the folder for the outputs too, stay for other models.
 */
export async function writeCompanions(
  { model, out = 'dist', layout }: Pick<CompileRequest, 'model' | 'out' | 'layout'>,
  reports: readonly TargetReport[],
  staging: Staging,
): Promise<void> {
  if (layout !== 'transformers.js') return;
  const beside = dirname(model);
  const sources = basename(beside) === 'onnx' ? [beside, dirname(beside)] : [beside];
  const found = (name: string): string | undefined =>
    sources.map((folder) => join(folder, name)).find((path) => existsSync(path));
  const add = (name: string, bytes: string | Buffer) => staging.write(name, bytes, [model]);
  const path = found('config.json');
  const config = path === undefined ? {} : parsed(path);
  const before = existsSync(join(out, 'config.json')) ? parsed(join(out, 'config.json')) : {};
  const patch = patchFor(model, reports, staging);
  const merged: Record<string, unknown> = { ...entry(config), ...entry(before) };
  for (const [key, value] of Object.entries(patch)) {
    const there = merged[key];
    merged[key] = { ...(typeof there === 'object' ? there : undefined), ...value };
    if (Object.keys(merged[key] as object).length === 0) delete merged[key];
  }
  await add(
    'config.json',
    `${JSON.stringify({ ...before, ...config, 'transformers.js_config': merged }, undefined, 2)}\n`,
  );
  for (const name of COMPANIONS) {
    const companion = found(name);
    if (companion !== undefined) await add(name, readFileSync(companion));
  }
}

const entry = (config: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  (config['transformers.js_config'] ?? {}) as Record<string, unknown>;

/** @throws QuantcError E_LAYOUT_CONFIG when it is no JSON object */
function parsed(path: string): Record<string, unknown> {
  let cause: unknown;
  try {
    const config: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof config === 'object' && config !== null && !Array.isArray(config))
      return config as Record<string, unknown>;
  } catch (error) {
    cause = error;
  }
  throw new QuantcError('E_LAYOUT_CONFIG', `${path} is not a JSON object`, {
    kind: 'input',
    place: { file: path },
    cause,
  });
}

/** Of several models in one folder each keeps its own data type: the last one made is what is loaded unasked. */
function patchFor(model: string, reports: readonly TargetReport[], staging: Staging): Patch {
  const base = basename(model, extname(model));
  const patch: Patch = { dtype: {}, use_external_data_format: {} };
  for (const { files } of reports) {
    const file = basename(files[0]!.path);
    const suffix = basename(file, '.onnx').slice(base.length);
    const dtype = Object.entries(SUFFIXES).find(([, each]) => each === suffix)?.[0] ?? suffix.slice(1);
    patch.dtype[base] = dtype;
    if (files.length > 1) patch.use_external_data_format[file] = files.length - 1;
    const { inputs } = readModel(staging.path(files[0]!.path)).graph;
    const past = cacheInputs(inputs)[0]?.type;
    if (past?.kind === 'tensor' && past.dtype === 'float16')
      patch.kv_cache_dtype = { ...patch.kv_cache_dtype, [dtype]: 'float16' };
  }
  return patch;
}

/**
 * transformers.js makes the empty cache of a first run by the names of dimensions: the batch must be `batch_size`.
 * Renames that dimension wherever it stands; nothing is computed otherwise.
 */
export function nameBatch({ layout }: Pick<CompileRequest, 'layout'>, model: Model): void {
  const past = layout === 'transformers.js' ? cacheInputs(model.graph.inputs)[0]?.type : undefined;
  const batch = past?.kind === 'tensor' ? past.shape?.[0] : undefined;
  if (typeof batch !== 'string' || batch === BATCH) return;
  for (const graph of model.graphs()) {
    for (const value of valuesOf(graph)) {
      const { type } = value;
      if (type?.kind !== 'tensor' || !type.shape?.includes(batch)) continue;
      setType(value, { ...type, shape: type.shape.map((dim) => (dim === batch ? BATCH : dim)) });
    }
  }
}
const BATCH = 'batch_size';
