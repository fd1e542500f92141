/** Opens data for a model: a folder with a `data.json`, an .npz, or an .npy. All of it is checked before any run. */
import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { QuantcError } from '../errors/error.js';
import { dtypeFacts } from '../ir/dtype.js';
import { Tensor } from '../ir/tensor.js';
import { type Dim, elementCount } from '../ir/type.js';
import { type DataSet, type Feeds, type InputSignature, StoredDataSet, type StoredInput } from './dataset.js';
import { type ConstantFeed, type Manifest, readManifest } from './manifest.js';
import { looksLikeZip, openNpy, openNpz, type StoredArray } from './npy.js';
import { checkTransform, transformedShape } from './transform.js';

/** Samples a feed where neither the model nor the data says: large enough to keep two cores busy, small in memory. */
const USUAL_BATCH = 8;

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
  const symbols = new Map<string, { size: number; value: string }>();
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

/** Compares a feed's shape with the input's, from axis `from` on; dimensions of one symbol must agree everywhere. */
function checkShape(
  feed: readonly number[],
  expected: readonly Dim[] | undefined,
  from: number,
  symbols: Map<string, { size: number; value: string }>,
  place: { file: string; value: string },
  transformed: boolean,
): void {
  if (expected === undefined) return;
  const wrong = (why: string): QuantcError =>
    new QuantcError(
      'E_DATA_SHAPE',
      `a feed is [${feed}], the input takes [${expected.map((d) => d ?? '?')}]: ${why}`,
      {
        place,
        hint: transformed ? undefined : 'Pictures stored as NHWC bytes need a data.json with a transform.',
      },
    );
  if (feed.length !== expected.length) throw wrong(`${feed.length} dimensions for ${expected.length}`);
  for (let axis = from; axis < feed.length; axis++) {
    const dim = expected[axis]!;
    const size = feed[axis]!;
    if (typeof dim === 'number' && dim > 0 && dim !== size) throw wrong(`axis ${axis} must be ${dim}`);
    if (typeof dim !== 'string' || dim === '') continue;
    const known = symbols.get(dim);
    if (known === undefined) symbols.set(dim, { size, value: place.value });
    else if (known.size !== size) throw wrong(`${dim} is ${known.size} in input "${known.value}"`);
  }
}

function chooseBatch(
  whole: boolean,
  fixed: ReadonlySet<number>,
  stated: number | undefined,
  wish: number | undefined,
  file: string,
): number {
  const demands = new Set(whole ? [1] : [...fixed, ...(stated === undefined ? [] : [stated])]);
  if (demands.size > 1) {
    throw new QuantcError('E_DATA_BATCH', `model and data demand batches of ${[...demands].join(' and ')}`, {
      place: { file },
    });
  }
  const [demand] = demands;
  if (
    wish !== undefined &&
    (!Number.isInteger(wish) || wish < 1 || (demand !== undefined && demand !== wish))
  ) {
    throw new QuantcError(
      'E_DATA_BATCH',
      `a batch of ${wish} was asked for${demand ? `, but only ${demand} works` : ''}`,
      {
        kind: 'usage',
        place: { file },
      },
    );
  }
  return demand ?? wish ?? USUAL_BATCH;
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

function constantFeeds(constants: Readonly<Record<string, ConstantFeed>>, file: string): Feeds {
  const feeds: Record<string, Tensor> = {};
  for (const [name, { dtype, value, shape }] of Object.entries(constants)) {
    const values = (Array.isArray(value) ? value : [value]).map(Number);
    const dims = shape ?? (Array.isArray(value) ? [values.length] : []);
    const { array, bits, kind } = dtypeFacts(dtype);
    const plain = bits >= 8 && !(kind === 'float' && bits < 32) && kind !== 'complex' && kind !== 'string';
    const whole = kind === 'float' || values.every(Number.isSafeInteger);
    if (!plain || !whole || elementCount(dims) !== values.length) {
      throw new QuantcError('E_DATA_MANIFEST', `constant "${name}" cannot be ${dtype}[${dims}]`, {
        place: { file, value: name },
      });
    }
    const data = new array(new ArrayBuffer((bits / 8) * values.length));
    values.forEach((each, i) => {
      data[i] = bits === 64 && kind !== 'float' ? BigInt(each) : each;
    });
    feeds[name] = Tensor.of(dtype, dims, data);
  }
  return feeds;
}
