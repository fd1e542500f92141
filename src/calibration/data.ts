/** Opens data for a model: a folder with a `data.json`, an .npz, or an .npy. All of it is checked before any run. */
import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { QuantcError } from '../errors/error.js';
import { dtypeFacts } from '../ir/dtype.js';
import { elementCount } from '../ir/type.js';
import { constantFeeds } from './constant-feeds.js';
import { type DataSet, type InputSignature, StoredDataSet, type StoredInput } from './dataset.js';
import { checkShape, chooseBatch, type KnownSizes } from './feed-checks.js';
import { type Manifest, readManifest } from './manifest.js';
import { looksLikeZip, openNpy, openNpz, type StoredArray } from './npy.js';
import { checkTransform, transformedShape } from './transform.js';

export interface OpenDataOptions {
  /** Samples a feed. Default: what the data or the model fixes, else 8. */
  readonly batch?: number;
}

/** Which part of the data: calibration must never see what evaluation is done on. */
export type Split = 'calib' | 'eval';

type Sources = Omit<Manifest, 'inputs'> & {
  readonly root: string;
  readonly inputs: ReadonlyMap<
    string,
    { array: StoredArray; transform?: Manifest['inputs'][string]['transform']; stacked?: boolean }
  >;
};

/**
 * Opens the data at `path` for a model with these inputs.
 * - a folder with a `data.json`, or that file itself: its arrays of the split, found relative to the folder;
 * - an .npz: arrays named like the inputs (any name, where there is one array and one input);
 * - an .npy: the only input's samples along the first axis (or whole feeds, where it has one axis more than the input).
 *
 * Nothing is read yet but headers, labels and .npz archives.
 * @throws QuantcError E_DATA_READ, E_DATA_MANIFEST, E_NPY_*; E_DATA_INPUTS where names do not match the model's,
 * E_DATA_DTYPE, E_DATA_SHAPE, E_DATA_TRANSFORM, E_DATA_COUNT, E_DATA_EMPTY, E_DATA_SPLIT, E_DATA_LABELS, E_DATA_BATCH.
 * While iterating: E_DATA_NAN, E_DATA_RANGE.
 */
export function openData(
  path: string,
  split: Split,
  signature: readonly InputSignature[],
  options: OpenDataOptions = {},
): DataSet {
  const sources = find(path, split, signature);
  const wanted = new Map(signature.map((input) => [input.name, input]));
  const given = new Set([...sources.inputs.keys(), ...Object.keys(sources.constants)]);
  const strange = [...given].filter((name) => !wanted.has(name));
  const missing = signature.filter((input) => input.constant === undefined && !given.has(input.name));
  if (strange.length > 0 || missing.length > 0) {
    const names = (list: readonly string[]) => list.map((name) => `"${name}"`).join(', ');
    throw new QuantcError(
      'E_DATA_INPUTS',
      missing.length > 0
        ? `no data for input ${names(missing.map(({ name }) => name))}`
        : `the model has no input ${names(strange)}`,
      { place: { file: path }, hint: `The model's inputs are ${names([...wanted.keys()])}.` },
    );
  }
  const inputs: StoredInput[] = [];
  const symbols: KnownSizes = new Map();
  const stacked = new Set<boolean>();
  const fixed = new Set<number>();
  let count: number | undefined;
  for (const [name, { array, transform, stacked: asked }] of sources.inputs) {
    const type = wanted.get(name)!.type;
    const place = { file: array.file, value: name };
    if (array.shape.length === 0)
      throw new QuantcError('E_DATA_SHAPE', 'a scalar holds no samples', { place });
    if (type !== undefined && type.kind !== 'tensor') {
      throw new QuantcError('E_DATA_INPUTS', `input "${name}" is a ${type.kind}; arrays feed tensors only`, {
        place,
      });
    }
    if (array.shape[0] === 0) throw new QuantcError('E_DATA_EMPTY', 'the array holds no sample', { place });
    count ??= array.shape[0]!;
    if (array.shape[0] !== count) {
      throw new QuantcError('E_DATA_COUNT', `${array.shape[0]} samples, where the first input has ${count}`, {
        place,
      });
    }
    const dtype = type?.dtype ?? array.dtype;
    checkTransform(array.dtype, dtype, array.shape, transform, place);
    const shape = transformedShape(array.shape, transform);
    const whole = asked ?? (type?.shape !== undefined && shape.length === type.shape.length + 1);
    stacked.add(whole);
    const feed = whole ? shape.slice(1) : shape;
    const batchDim = whole ? undefined : type?.shape?.[0];
    if (typeof batchDim === 'number' && batchDim > 0) fixed.add(batchDim);
    checkShape(feed, type?.shape, whole ? 0 : 1, symbols, place, transform !== undefined);
    inputs.push({ name, array, dtype, transform });
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
  const batch = chooseBatch(whole, fixed, sources.batch, options.batch, path);
  return new StoredDataSet({
    source: path,
    inputs,
    constants: constantFeeds(sources.constants, path),
    count,
    batch,
    exact: !whole && (fixed.size > 0 || sources.batch !== undefined),
    stacked: whole,
    metric: sources.metric,
    labels: split === 'eval' ? readLabels(sources, count) : undefined,
  });
}

function find(path: string, split: Split, signature: readonly InputSignature[]): Sources {
  const folder = isFolder(path);
  if (folder || path.endsWith('.json')) {
    const manifest = readManifest(folder ? join(path, 'data.json') : path);
    const root = folder ? path : resolve(path, '..');
    const inputs = new Map(
      Object.entries(manifest.inputs).map(([name, { transform, stacked, ...files }]) => {
        const file = files[split];
        if (file === undefined) {
          throw new QuantcError('E_DATA_SPLIT', `input "${name}" has no "${split}" array`, {
            place: { file: path, value: name },
          });
        }
        return [name, { array: openNpy(resolve(root, file)), transform, stacked }];
      }),
    );
    return { ...manifest, root, inputs };
  }
  const only = signature.filter((input) => input.constant === undefined);
  if (looksLikeZip(path)) {
    const arrays = openNpz(path);
    const anonymous = arrays.size === 1 && only.length === 1 && !arrays.has(only[0]!.name);
    const named = [...arrays].map(([name, array]) => [anonymous ? only[0]!.name : name, { array }] as const);
    return { root: path, constants: {}, inputs: new Map(named) };
  }
  const array = openNpy(path);
  if (only.length !== 1) {
    throw new QuantcError('E_DATA_INPUTS', `one array cannot feed ${only.length} inputs`, {
      place: { file: path },
      hint: 'Give an .npz with one array an input, or a folder with a data.json.',
    });
  }
  return { root: path, constants: {}, inputs: new Map([[only[0]!.name, { array }]]) };
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (cause) {
    throw new QuantcError('E_DATA_READ', `there is no ${path}`, { place: { file: path }, cause });
  }
}

/** Integer labels, one a sample. */
function readLabels(sources: Sources, count: number): Int32Array | undefined {
  if (sources.labels === undefined) return undefined;
  const array = openNpy(resolve(sources.root, sources.labels));
  const place = { file: array.file };
  const { kind } = dtypeFacts(array.dtype);
  if (
    elementCount(array.shape) !== count ||
    array.shape[0] !== count ||
    (kind !== 'int' && kind !== 'uint')
  ) {
    throw new QuantcError('E_DATA_LABELS', `labels are ${array.dtype}[${array.shape}] for ${count} samples`, {
      place,
      hint: 'Labels are integers, one a sample.',
    });
  }
  return Int32Array.from(array.rows(0, count).toNumbers());
}
