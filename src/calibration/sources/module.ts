/** Feeds from a TypeScript or JavaScript module of the user's own. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { QuantcError } from '../../errors/error.js';
import type { Tensor } from '../../ir/tensor.js';
import type { DataSet, Feeds, InputSignature } from '../dataset.js';
import { checkShape } from '../feed-checks.js';
import { METRICS, type Metric } from '../manifest.js';
import { idChecker } from '../vocabulary.js';
import { FeedSet, FeedStore } from './feed-store.js';
import { feedTensor } from './feed-tensor.js';

/** An iterable that goes on beyond this many feeds, or bytes, is taken for an endless one. */
const MOST_FEEDS = 1e6;
const MOST_BYTES = 16 * 2 ** 30;

/**
 * Walks the feeds of a module once: all are checked and put on disk, where every later pass finds the same ones. So
 * they may come from anywhere, be walked once only, or be random; memory holds one at a time.
 *
 * The default export is an iterable of feeds, sync or async, or a function of the split (`calib` or `eval`) that
 * returns one, or the promise of one. A feed is an object with a value for each input. `labels` (a list of
 * integers, or a function of the split that returns one) and `metric` may be exported beside it.
 * @throws QuantcError E_DATA_READ, E_DATA_MODULE for what is no such module or throws, E_DATA_INPUTS, E_DATA_DTYPE,
 * E_DATA_SHAPE, E_DATA_NAN, E_DATA_RANGE, E_DATA_EMPTY, E_DATA_LABELS, E_DATA_SPOOL
 */
export async function openModule(
  path: string,
  split: string,
  signature: readonly InputSignature[],
): Promise<DataSet> {
  const exported = await load(path);
  const feeds = new FeedStore();
  const inputs = signature.map((input): Input => {
    const { name, type, constant } = input;
    return { name, type, constant, check: idChecker(input) };
  });
  try {
    for await (const feed of await iterableOf(exported['default'], split, path)) {
      const made = feedOf(feed, inputs, path, feeds.length);
      feeds.add(made, samplesOf(made, inputs));
      if (feeds.length > MOST_FEEDS || feeds.bytes > MOST_BYTES) {
        throw wrong(
          path,
          `it goes on after ${feeds.length} feeds and ${feeds.bytes} bytes`,
          'An iterable of feeds must end.',
        );
      }
    }
  } catch (cause) {
    if (cause instanceof QuantcError) throw cause;
    throw wrong(path, `it throws at feed ${feeds.length}: ${messageOf(cause)}`, undefined, cause);
  }
  if (feeds.length === 0) {
    throw new QuantcError('E_DATA_EMPTY', `it gives no feed for "${split}"`, { place: { file: path } });
  }
  const labels =
    split === 'eval' ? await labelsOf(exported['labels'], split, feeds.samples, path) : undefined;
  return new FeedSet(path, feeds, { labels, metric: metricOf(exported['metric'], path) });
}

const wrong = (file: string, why: string, hint?: string, cause?: unknown): QuantcError =>
  new QuantcError('E_DATA_MODULE', why, { place: { file }, hint, cause });

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

async function load(path: string): Promise<Record<string, unknown>> {
  const file = resolve(path);
  try {
    statSync(file);
  } catch (cause) {
    throw new QuantcError('E_DATA_READ', `there is no ${path}`, { place: { file: path }, cause });
  }
  try {
    if (!/\.[cm]?ts$/i.test(file)) return unwrapped(await import(pathToFileURL(file).href));
    const { createJiti } = await import('jiti');
    return unwrapped(await createJiti(import.meta.url, { fsCache: false, moduleCache: false }).import(file));
  } catch (cause) {
    throw wrong(path, `the module cannot be loaded: ${messageOf(cause)}`, undefined, cause);
  }
}

/** What compilers to CommonJS export as `default` arrives one level further down. */
function unwrapped(exported: Record<string, unknown>): Record<string, unknown> {
  const inner = exported['default'];
  const wrapped = typeof inner === 'object' && inner !== null && 'default' in inner;
  return wrapped ? (inner as Record<string, unknown>) : exported;
}

async function iterableOf(
  exported: unknown,
  split: string,
  path: string,
): Promise<AsyncIterable<unknown> | Iterable<unknown>> {
  const given = await (typeof exported === 'function' ? exported(split) : exported);
  if (
    given !== null &&
    typeof given === 'object' &&
    (Symbol.asyncIterator in given || Symbol.iterator in given)
  ) {
    return given as AsyncIterable<unknown> | Iterable<unknown>;
  }
  throw wrong(
    path,
    exported === undefined ? 'it has no default export' : 'its default export gives no iterable',
    'Export a function of the split that returns an iterable of feeds: `export default async function* (split) { yield { x: … } }`.',
  );
}

type Input = InputSignature & { readonly check: ((tensor: Tensor, file: string) => void) | undefined };

function feedOf(
  feed: unknown,
  inputs: readonly Input[],
  file: string,
  index: number,
): Record<string, Tensor> {
  if (feed === null || typeof feed !== 'object') {
    throw wrong(file, `feed ${index} is no object with a value for each input`);
  }
  const given = feed as Record<string, unknown>;
  const names = inputs.map(({ name }) => name);
  const strange = Object.keys(given).find((name) => !names.includes(name));
  const missing = inputs.find(
    ({ name, constant }) => constant === undefined && given[name] === undefined,
  )?.name;
  if (strange !== undefined || missing !== undefined) {
    throw new QuantcError(
      'E_DATA_INPUTS',
      missing === undefined
        ? `feed ${index}: the model has no input "${strange}"`
        : `feed ${index} has nothing for input "${missing}"`,
      { place: { file, value: missing ?? strange }, hint: `The model's inputs are ${names.join(', ')}.` },
    );
  }
  const symbols = new Map();
  const made: Record<string, Tensor> = {};
  for (const { name, type, check } of inputs) {
    if (given[name] === undefined) continue;
    const place = { file, value: name };
    try {
      if (type !== undefined && type.kind !== 'tensor') {
        throw new QuantcError(
          'E_DATA_INPUTS',
          `input "${name}" is a ${type.kind}; modules feed tensors only`,
          { place },
        );
      }
      const tensor = feedTensor(given[name], type, place);
      checkShape(tensor.shape, type?.shape, 0, symbols, place, true);
      check?.(tensor, file);
      made[name] = tensor;
    } catch (error) {
      if (!(error instanceof QuantcError)) throw error;
      const { code, message, hint } = error;
      throw new QuantcError(code, `feed ${index}: ${message}`, { place, hint, cause: error });
    }
  }
  return made;
}

/** Samples in a feed: the size that every input's first axis has, where the model leaves those open; else one. */
function samplesOf(feed: Feeds, inputs: readonly Input[]): number {
  const sizes = new Set<number | undefined>();
  for (const { name, type } of inputs) {
    const tensor = feed[name];
    if (tensor === undefined || tensor.shape.length === 0) continue;
    const first = type?.kind === 'tensor' ? type.shape?.[0] : undefined;
    sizes.add(typeof first === 'string' || first === null || (first ?? 0) > 1 ? tensor.shape[0] : undefined);
  }
  const [size] = sizes;
  return sizes.size === 1 && size !== undefined && size > 0 ? size : 1;
}

async function labelsOf(
  exported: unknown,
  split: string,
  count: number,
  file: string,
): Promise<Int32Array | undefined> {
  if (exported === undefined) return undefined;
  let given: unknown;
  try {
    given = await (typeof exported === 'function' ? exported(split) : exported);
  } catch (cause) {
    throw wrong(file, `labels throw: ${messageOf(cause)}`, undefined, cause);
  }
  const list =
    Array.isArray(given) || ArrayBuffer.isView(given) ? Array.from(given as ArrayLike<unknown>, Number) : [];
  if (list.length !== count || !list.every(Number.isInteger)) {
    throw new QuantcError('E_DATA_LABELS', `${list.length} labels for ${count} samples`, {
      place: { file },
      hint: '`labels` is a list of integers, one a sample, or a function of the split that returns one.',
    });
  }
  return Int32Array.from(list);
}

function metricOf(exported: unknown, file: string): Metric | undefined {
  if (exported === undefined || METRICS.includes(exported as Metric)) return exported as Metric | undefined;
  throw wrong(file, `"${String(exported)}" is no metric`, `Metrics: ${METRICS.join(', ')}.`);
}
