/**
 * Samples over lanes: this thread's own, and more threads where the work is worth their start. What comes of it does
 * not depend on how many there were: each sample is run in the same way, counts are whole numbers that add up in any
 * order, and whatever depends on order is told in the order of the samples.
 */
import { availableParallelism } from 'node:os';
import type { DataSet } from './dataset.js';
import { HistogramObserver } from './histogram.js';
import { Lane, type LaneJob } from './lane.js';
import { LaneThread } from './lane-thread.js';

export interface LanesOptions {
  /** Threads, this one among them; default one a core. */
  readonly threads?: number;
  /** Bytes that all lanes may hold together. */
  readonly memory: number;
  /** Bytes that the weights of a model take in a session of its own. */
  readonly weights: number;
  /** Milliseconds of work left from which on further threads are started. Default 1500. */
  readonly worthThreads?: number;
  /** Asked before each sample; what it throws ends the work. */
  readonly check: () => void;
  /** Told after the first sample what each value took; true where the work is to be planned anew. */
  readonly measured: (bytes: Float64Array) => boolean;
  /** What one sample showed, in the order of the samples: least and greatest element of each value. */
  readonly onSample: (extremes: Float64Array) => void;
  /** Told after each sample, in whatever order, how many are done. */
  readonly onDone: (samples: number) => void;
}

/** Starting a thread and a session takes about so long. */
const WORTH_MS = 1500;
/** Samples that a thread is sent ahead: this one may be in a run of its own when one is done. */
const DEPTH = 3;

/**
 * Runs every sample, each by itself wherever data and model leave the batch open.
 * @returns histograms of all values, or nothing where the first sample showed that the plan was bad
 * @throws the error of the first sample that fails
 */
export async function runLanes(
  job: LaneJob,
  data: DataSet,
  options: LanesOptions,
): Promise<HistogramObserver[] | undefined> {
  const own = await Lane.open(job);
  const threads: LaneThread[] = [];
  const order = new InOrder(options.onSample);
  const under = new Set<Promise<void>>();
  let ready = 0;
  const done = (sample: number, extremes: Float64Array): void => {
    order.add(sample, extremes);
    options.onDone(++ready);
  };
  const take = (sample: number, work: Promise<Float64Array>): Promise<void> => {
    const taken: Promise<void> = work
      .then((extremes) => done(sample, extremes))
      .catch((error: unknown) => order.fail(sample, error))
      .finally(() => under.delete(taken));
    under.add(taken);
    return taken;
  };
  try {
    let sample = 0;
    let began = 0;
    for await (const feeds of data) {
      options.check();
      if (order.failed) break;
      // The second sample tells what one takes: the first has a memory to set up.
      if (sample === 1) began = performance.now();
      if (sample === 2) {
        const left = (performance.now() - began) * (Math.ceil(data.count / data.batch) - 2);
        const more = left < (options.worthThreads ?? WORTH_MS) ? 0 : furtherLanes(own, options);
        for (let i = 0; i < more; i++) threads.push(new LaneThread(job));
      }
      if (sample === 0) {
        const extremes = await own.observe(feeds);
        if (options.measured(own.bytes)) return undefined;
        done(sample++, extremes);
        continue;
      }
      const idle = threads.filter(({ load }) => load < DEPTH).sort((a, b) => a.load - b.load)[0];
      if (idle) void take(sample, idle.observe(feeds));
      else await take(sample, own.observe(feeds));
      sample += 1;
    }
    await Promise.all(under);
    options.check();
    order.finish();
    const merged = job.names.map((name) => new HistogramObserver(name));
    const all = [own.histograms(), ...(await Promise.all(threads.map((thread) => thread.histograms())))];
    for (const histograms of all)
      for (const [i, histogram] of histograms.entries()) if (histogram) merged[i]!.merge(histogram);
    return merged;
  } finally {
    await Promise.all([own, ...threads].map((lane) => lane.close()));
  }
}

/** How many lanes there may be besides the first, by cores and by memory. */
function furtherLanes(own: Lane, { threads, memory, weights }: LanesOptions): number {
  const each = weights + own.bytes.reduce((sum, bytes) => sum + bytes, 0);
  return Math.max(0, Math.min(threads ?? availableParallelism(), Math.floor(memory / Math.max(1, each))) - 1);
}

/** Hands on what comes in any order in that of the samples, up to the first that failed. */
class InOrder {
  readonly #handOn: (extremes: Float64Array) => void;
  readonly #early = new Map<number, Float64Array>();
  #next = 0;
  #failure: { readonly sample: number; readonly error: unknown } | undefined;

  constructor(handOn: (extremes: Float64Array) => void) {
    this.#handOn = handOn;
  }

  get failed(): boolean {
    return this.#failure !== undefined;
  }

  add(sample: number, extremes: Float64Array): void {
    this.#early.set(sample, extremes);
    for (let ready = this.#early.get(this.#next); ready !== undefined; ready = this.#early.get(this.#next)) {
      this.#early.delete(this.#next);
      this.#handOn(ready);
      this.#next += 1;
    }
  }

  /** Samples before a failed one are still under way and may fail too: theirs is the error that is thrown. */
  fail(sample: number, error: unknown): void {
    if (this.#failure === undefined || sample < this.#failure.sample) this.#failure = { sample, error };
  }

  /** @throws the first failure in the order of samples */
  finish(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
