/** Opens data for a model, of whatever kind. All of it is checked before any run. */
import { QuantcError } from '../errors/error.js';
import { constantFeeds } from './constant-feeds.js';
import { type DataSet, type InputSignature, StoredDataSet, type StoredInput } from './dataset.js';
import { checkShape, chooseBatch, type KnownSizes } from './feed-checks.js';
import { companionOf } from './sources/companions.js';
import type { ImageDecoderName } from './sources/decode-image.js';
import { type Found, type FoundInput, findSources, type Split } from './sources/find.js';
import { readLabels } from './sources/labels.js';
import { endsIn } from './sources/listing.js';
import { openModule } from './sources/module.js';
import { MODULE_ENDINGS } from './sources/module-endings.js';
import { checkTransform, transformedShape } from './transform.js';
import { verifyRows } from './verify-rows.js';

export type { Split } from './sources/find.js';

export interface OpenDataOptions {
  /** Samples a feed. Default: what the data or the model fixes, else 8. */
  readonly batch?: number;
  /** What reads pictures; default sharp where it is installed. */
  readonly decoder?: ImageDecoderName;
  /** Where the model fixes the batch, the word of the data on it does not count. */
  readonly batchOfModel?: boolean;
  /** Told how much of the pictures has been read, from 0 to 1. */
  readonly onProgress?: (share: number) => void;
}

/**
 * Opens the data at `path` for a model with these inputs:
 * - a folder with a `data.json`, or that file itself: what it names, relative to the folder;
 * - an .npz: arrays named like the inputs (any name, where there is one array and one input);
 * - an .npy: the only input's samples along the first axis (or whole feeds, where it has one axis more than the input);
 * - a .txt, .json or .bin of token ids: windows of them, with attention_mask, position_ids and token_type_ids where
 *   the model has them;
 * - a TypeScript or JavaScript module that gives feeds.
 *
 * `docs/data.md` describes each. Samples come in an order that depends on names and contents alone. All is checked
 * here: names, dtypes and shapes first, then, by one walk through what may be wrong at all, elements.
 * @throws QuantcError E_DATA_READ, E_DATA_MANIFEST, E_DATA_UNDECLARED, E_NPY_*; E_DATA_INPUTS where names do not match
 * the model's, E_DATA_DTYPE, E_DATA_SHAPE, E_DATA_TRANSFORM, E_DATA_COUNT, E_DATA_EMPTY, E_DATA_SPLIT, E_DATA_LABELS,
 * E_DATA_BATCH; E_DATA_NAN, E_DATA_RANGE; E_DATA_IMAGE, E_DATA_LAYOUT, E_DATA_SIZE; E_DATA_AUDIO, E_DATA_RATE,
 * E_DATA_LENGTH; E_DATA_TOKENS; E_DATA_MODULE; E_DATA_SPOOL. Each names the file, and the input where one is meant.
 */
export async function openData(
  path: string,
  split: Split,
  signature: readonly InputSignature[],
  options: OpenDataOptions = {},
): Promise<DataSet> {
  if (endsIn(path, MODULE_ENDINGS)) return openModule(path, split, signature);
  const sources = await findSources(path, split, signature, options);
  const found = withCompanions(sources, signature);
  const wanted = new Map(signature.map((input) => [input.name, input]));
  checkNames([...found.keys(), ...Object.keys(sources.constants)], signature, path);
  const inputs: StoredInput[] = [];
  const symbols: KnownSizes = new Map();
  const stacked = new Set<boolean>();
  const fixed = new Set<number>();
  let count: number | undefined;
  for (const [name, { rows, transform, stacked: asked }] of found) {
    const type = wanted.get(name)!.type;
    const place = { file: rows.file, value: name };
    if (rows.shape.length === 0)
      throw new QuantcError('E_DATA_SHAPE', 'a scalar holds no samples', { place });
    if (type !== undefined && type.kind !== 'tensor') {
      throw new QuantcError('E_DATA_INPUTS', `input "${name}" is a ${type.kind}; arrays feed tensors only`, {
        place,
      });
    }
    if (rows.shape[0] === 0) throw new QuantcError('E_DATA_EMPTY', 'the array holds no sample', { place });
    count ??= rows.shape[0]!;
    if (rows.shape[0] !== count) {
      throw new QuantcError('E_DATA_COUNT', `${rows.shape[0]} samples, where the first input has ${count}`, {
        place,
      });
    }
    const dtype = type?.dtype ?? rows.dtype;
    checkTransform(rows.dtype, dtype, rows.shape, transform, place);
    const shape = transformedShape(rows.shape, transform);
    const whole = asked ?? (type?.shape !== undefined && shape.length === type.shape.length + 1);
    stacked.add(whole);
    const feed = whole ? shape.slice(1) : shape;
    const batchDim = whole ? undefined : type?.shape?.[0];
    if (typeof batchDim === 'number' && batchDim > 0) fixed.add(batchDim);
    checkShape(feed, type?.shape, whole ? 0 : 1, symbols, place, transform !== undefined);
    inputs.push({ name, array: rows, dtype, ...(transform && { transform }) });
  }
  if (count === undefined) {
    throw new QuantcError('E_DATA_EMPTY', 'no input has data', { place: { file: path } });
  }
  if (stacked.size > 1) {
    throw new QuantcError('E_DATA_SHAPE', 'some inputs hold whole feeds (stacked) and others samples', {
      place: { file: path },
    });
  }
  const whole = stacked.has(true);
  const stated = options.batchOfModel && fixed.size > 0 ? undefined : sources.batch;
  const batch = chooseBatch(whole, fixed, stated, options.batch, path);
  const constants = constantFeeds(sources.constants, path);
  const rows = inputs.find(({ array }) => array.fileOf !== undefined)?.array;
  const labels =
    split === 'eval' && sources.labels !== undefined
      ? readLabels(sources.labels, { root: sources.root, count, rows })
      : undefined;
  for (const input of inputs) await verifyRows(input, wanted.get(input.name)!);
  return new StoredDataSet({
    source: path,
    inputs,
    constants,
    count,
    batch,
    exact: !whole && (fixed.size > 0 || sources.batch !== undefined),
    asked: !whole && fixed.size === 0 && sources.batch !== undefined,
    stacked: whole,
    ...(sources.metric && { metric: sources.metric }),
    ...(labels && { labels }),
  });
}

/** What is found, and with token ids what follows from them for inputs that have nothing. */
function withCompanions(
  { inputs, constants }: Found,
  signature: readonly InputSignature[],
): ReadonlyMap<string, FoundInput> {
  const tokens = [...inputs.values()].find((each) => each.tokens)?.rows;
  if (tokens === undefined) return inputs;
  const all = new Map(inputs);
  for (const input of signature) {
    if (all.has(input.name) || input.name in constants || input.constant !== undefined) continue;
    const rows = companionOf(input, tokens);
    if (rows !== undefined) all.set(input.name, { rows });
  }
  return all;
}

/** @throws QuantcError E_DATA_INPUTS unless every input without a default has data, and no other name has */
function checkNames(given: readonly string[], signature: readonly InputSignature[], file: string): void {
  const known = signature.map(({ name }) => name);
  const strange = given.filter((name) => !known.includes(name));
  const missing = signature
    .filter((input) => input.constant === undefined && !given.includes(input.name))
    .map(({ name }) => name);
  if (strange.length === 0 && missing.length === 0) return;
  const names = (list: readonly string[]) => list.map((name) => `"${name}"`).join(', ');
  throw new QuantcError(
    'E_DATA_INPUTS',
    missing.length > 0 ? `no data for input ${names(missing)}` : `the model has no input ${names(strange)}`,
    { place: { file, value: missing[0] ?? strange[0] }, hint: `The model's inputs are ${names(known)}.` },
  );
}
