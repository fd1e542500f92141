/** Whole feeds, checked and put on disk, as a set of samples. */
import { createHash } from 'node:crypto';
import { Tensor } from '../../ir/tensor.js';
import type { Batch, DataSet, Feeds } from '../dataset.js';
import type { Metric } from '../manifest.js';
import { Spool } from './spool.js';

/** One input of one feed. */
interface Part extends Pick<Tensor, 'dtype' | 'shape' | 'byteLength'> {
  readonly name: string;
  readonly offset: number;
}

interface StoredFeed {
  readonly parts: readonly Part[];
  /** Number of its first sample, and of samples in it. */
  readonly start: number;
  readonly count: number;
}

/** Feeds on disk, in the order in which they came. */
export class FeedStore {
  readonly #spool = new Spool();
  readonly #feeds: StoredFeed[] = [];
  #samples = 0;

  get length(): number {
    return this.#feeds.length;
  }

  get samples(): number {
    return this.#samples;
  }

  get bytes(): number {
    return this.#spool.size;
  }

  get feeds(): readonly StoredFeed[] {
    return this.#feeds;
  }

  /** @param count samples in the feed. @throws QuantcError E_DATA_SPOOL */
  add(feed: Feeds, count: number): void {
    const parts = Object.entries(feed).map(([name, tensor]) => {
      const { dtype, shape, byteLength } = tensor;
      return { name, dtype, shape, byteLength, offset: this.#spool.append(tensor.bytes()) };
    });
    this.#feeds.push({ parts, start: this.#samples, count });
    this.#samples += count;
  }

  read({ parts }: StoredFeed): Feeds {
    return Object.fromEntries(
      parts.map(({ name, dtype, shape, byteLength, offset }) => [
        name,
        Tensor.of(dtype, shape, this.#spool.read(offset, byteLength)),
      ]),
    );
  }
}

/** A set of feeds that are neither cut nor joined. */
export class FeedSet implements DataSet {
  readonly synthetic = false;
  readonly count: number;
  readonly batch: number;
  readonly metric?: Metric;
  readonly labels?: Int32Array;
  readonly #store: FeedStore;
  readonly #feeds: readonly StoredFeed[];

  /** @param feeds those of the store that are in the set; default all */
  constructor(
    readonly source: string,
    store: FeedStore,
    { labels, metric }: { readonly labels?: Int32Array; readonly metric?: Metric },
    feeds: readonly StoredFeed[] = store.feeds,
  ) {
    this.#store = store;
    this.#feeds = feeds;
    this.count = feeds.reduce((sum, { count }) => sum + count, 0);
    this.batch = feeds.reduce((most, { count }) => Math.max(most, count), 1);
    if (labels !== undefined) this.labels = labels.subarray(0, this.count);
    if (metric !== undefined) this.metric = metric;
  }

  async *batches(): AsyncGenerator<Batch> {
    for (const feed of this.#feeds) {
      yield { feeds: this.#store.read(feed), start: feed.start, count: feed.count, padding: 0 };
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Feeds> {
    for await (const { feeds } of this.batches()) yield feeds;
  }

  /** Whole feeds, and at least one: it may hold more than `count` samples. */
  first(count: number): DataSet {
    if (count >= this.count) return this;
    const some = this.#feeds.filter((feed, i) => i === 0 || feed.start + feed.count <= count);
    return new FeedSet(this.source, this.#store, this, some);
  }

  rebatched(): DataSet {
    return this;
  }

  digest(): string {
    const hash = createHash('sha256');
    for (const feed of this.#feeds) {
      for (const [name, tensor] of Object.entries(this.#store.read(feed))) {
        hash.update(JSON.stringify([name, tensor.dtype, tensor.shape])).update(tensor.bytes());
      }
    }
    return hash.digest('hex');
  }
}
