/** Samples for a model: what calibration, evaluation and proof iterate over. */
import { createHash } from 'node:crypto';
import { byteLengthOf, type DType } from '../ir/dtype.js';
import type { Use } from '../ir/graph.js';
import { Tensor } from '../ir/tensor.js';
import { elementCount, type Type } from '../ir/type.js';
import type { Metric, Transform } from './manifest.js';
import { pickRows, type RowSource } from './rows.js';
import { transformRows } from './transform.js';

/** One run's inputs by name. */
export type Feeds = Readonly<Record<string, Tensor>>;

/** Feeds of a few samples: `count` of them, from sample `start` on. */
export interface Batch {
  readonly feeds: Feeds;
  readonly start: number;
  readonly count: number;
  /** Further samples at the end that only fill a fixed batch; they were there before. */
  readonly padding: number;
}

/** What is known of a model's input; graph inputs (`Value`s) are of this form. */
export interface InputSignature {
  readonly name: string;
  readonly type: Type | undefined;
  /** The default of an input that callers may leave out (an initializer that is also a graph input). */
  readonly constant?: Tensor | undefined;
  /** What reads it: tells how large token ids may be. */
  readonly uses?: readonly Use[];
}

/** A set of samples. Iterating reads as it goes, so that no set need fit in memory; it may be iterated many times. */
export interface DataSet extends AsyncIterable<Feeds> {
  /** Where it came from, for messages and reports. */
  readonly source: string;
  /** True for random feeds: they run a model, but say nothing about its accuracy. */
  readonly synthetic: boolean;
  /** Number of samples. */
  readonly count: number;
  /** Samples a feed. */
  readonly batch: number;
  readonly metric?: Metric;
  /** The class of each sample. */
  readonly labels?: Int32Array;
  /** The feeds, each with the samples it holds. */
  batches(): AsyncIterable<Batch>;
  /** The first samples alone, at most `count`. */
  first(count: number): DataSet;
  /** The same samples in feeds of another size, where the model and the data leave it open; else unchanged. */
  rebatched(batch: number): DataSet;
  /**
   * The same samples one a feed, where nothing but the data's own word asks for batches: the model's inputs leave it
   * open, though its inside may not. Absent elsewhere.
   */
  unbatched?(): DataSet;
  /** The samples with these numbers, in this order, read as they are asked for. Absent where samples are whole feeds. */
  picked?(numbers: readonly number[]): DataSet;
  /** Hash over everything that decides what the model is fed; independent of the batch. */
  digest(): string;
}

/** One input of a stored set, checked against the model. */
export interface StoredInput {
  readonly name: string;
  readonly array: RowSource;
  readonly dtype: DType;
  readonly transform?: Transform;
}

export interface StoredDataSetOptions {
  readonly source: string;
  readonly inputs: readonly StoredInput[];
  /** The same in every feed. */
  readonly constants: Feeds;
  readonly count: number;
  readonly batch: number;
  /** Every feed must have exactly `batch` samples: the last one is filled with the first samples again. */
  readonly exact: boolean;
  /** That is so because the data say it; the model's inputs would take any batch. */
  readonly asked?: boolean;
  /** Each row is a whole feed: its first axis is dropped. */
  readonly stacked: boolean;
  readonly metric?: Metric;
  readonly labels?: Int32Array;
}

/** Samples from arrays, a few rows in memory at a time. */
export class StoredDataSet implements DataSet {
  readonly synthetic = false;
  readonly source: string;
  readonly count: number;
  readonly batch: number;
  readonly metric?: Metric;
  readonly labels?: Int32Array;
  readonly unbatched?: () => DataSet;
  readonly picked?: (numbers: readonly number[]) => DataSet;
  readonly #options: StoredDataSetOptions;
  #digest: string | undefined;

  constructor(options: StoredDataSetOptions) {
    this.#options = options;
    this.source = options.source;
    this.count = options.count;
    this.batch = options.batch;
    this.metric = options.metric;
    this.labels = options.labels;
    if (options.asked && options.batch > 1)
      this.unbatched = () => new StoredDataSet({ ...options, batch: 1, exact: false, asked: false });
    if (!options.stacked) this.picked = (numbers) => pickedOf(options, numbers);
  }

  async *batches(): AsyncGenerator<Batch> {
    const { inputs, constants, batch, exact, stacked } = this.#options;
    for (let start = 0; start < this.count; start += batch) {
      const count = Math.min(batch, this.count - start);
      const feeds: Record<string, Tensor> = { ...constants };
      for (const { name, array, dtype, transform } of inputs) {
        const rows = await cyclicRows(array, start, exact ? batch : count, this.count);
        const tensor = transformRows(rows, dtype, transform, { file: array.file, value: name, start });
        feeds[name] = stacked ? tensor.with({ shape: tensor.shape.slice(1) }) : tensor;
      }
      yield { feeds, start, count, padding: exact ? batch - count : 0 };
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Feeds> {
    for await (const { feeds } of this.batches()) yield feeds;
  }

  first(count: number): DataSet {
    if (count >= this.count) return this;
    return new StoredDataSet({ ...this.#options, count, labels: this.labels?.subarray(0, count) });
  }

  rebatched(batch: number): DataSet {
    const { exact, stacked } = this.#options;
    return exact || stacked || batch === this.batch ? this : new StoredDataSet({ ...this.#options, batch });
  }

  digest(): string {
    if (this.#digest === undefined) {
      const { inputs, constants, stacked } = this.#options;
      const hash = createHash('sha256');
      for (const { name, array, dtype, transform } of inputs) {
        hash.update(
          JSON.stringify([
            name,
            dtype,
            array.dtype,
            array.shape.slice(1),
            this.count,
            stacked,
            transform ?? null,
          ]),
        );
        array.hashRows(hash, this.count);
      }
      for (const [name, tensor] of Object.entries(constants)) {
        hash.update(JSON.stringify([name, tensor.dtype, tensor.shape])).update(tensor.bytes());
      }
      this.#digest = hash.digest('hex');
    }
    return this.#digest;
  }
}

function pickedOf(options: StoredDataSetOptions, numbers: readonly number[]): DataSet {
  const { inputs, labels } = options;
  return new StoredDataSet({
    ...options,
    inputs: inputs.map((input) => ({ ...input, array: pickRows(input.array, numbers) })),
    count: numbers.length,
    ...(labels && { labels: Int32Array.from(numbers, (number) => labels[number]!) }),
  });
}

/** True when two sets feed a model the same. */
export const sameSamples = (a: DataSet, b: DataSet): boolean =>
  a.count === b.count && a.digest() === b.digest();

/** `count` rows from `start` on, beginning anew after row `total`. */
async function cyclicRows(array: RowSource, start: number, count: number, total: number): Promise<Tensor> {
  if (start + count <= total) return array.rows(start, count);
  const row = byteLengthOf(array.dtype, elementCount(array.shape.slice(1)));
  const bytes = new Uint8Array(row * count);
  for (let done = 0; done < count; ) {
    const from = (start + done) % total;
    const some = Math.min(total - from, count - done);
    bytes.set((await array.rows(from, some)).bytes(), done * row);
    done += some;
  }
  return Tensor.of(array.dtype, [count, ...array.shape.slice(1)], bytes);
}
