/**
 * Histograms that grow as data streams by. Bins are `[i·w, (i+1)·w)` with a width `w` that is a power of two, so that
 * bins of one width nest exactly in those of the next: when an element falls outside, `w` doubles and pairs of bins
 * merge. No count is ever lost or split, and the final histogram depends on the elements alone, not on their order,
 * on batches, or on how many observers shared the work. Memory is constant, whatever the number of elements.
 */
import { type Counter, REFERENCE, SIDE } from '../quant/counter.js';
import type { Range } from '../target/facts.js';
import { ExtremesObserver, type Observer } from './observer.js';

export class HistogramObserver implements Observer {
  /** Count of bin i at index i + SIDE; zeros are counted apart. The larger side is filled at least half. */
  readonly #counts = new Float64Array(2 * SIDE);
  #width = 0;
  #zeros = 0;
  #total = 0;
  readonly #counter: Counter;
  readonly #extremes: ExtremesObserver;

  /** @param name of the value, for messages */
  constructor(name: string, counter: Counter = REFERENCE) {
    this.#counter = counter;
    this.#extremes = new ExtremesObserver(name, counter);
  }

  observe(elements: Float32Array): Range | undefined {
    const seen = this.#extremes.observe(elements);
    if (seen === undefined) return undefined;
    this.#reach(seen);
    this.#zeros += this.#counter.count(elements, this.#width, this.#counts, seen.min, seen.max);
    this.#total += elements.length;
    return seen;
  }

  /** Takes up what another observer of the same value has counted. */
  merge(other: Histogram): void {
    this.#extremes.add(other);
    this.#reach(other);
    if (other.width > 0) {
      // Widths depend on magnitudes alone: this one is at least as wide by now, and a power of two wider.
      const halvings = Math.min(31, Math.log2(this.#width / other.width));
      other.counts.forEach((count, at) => {
        if (count > 0) this.#counts[((at - SIDE) >> halvings) + SIDE]! += count;
      });
    }
    this.#zeros += other.zeros;
    this.#total += other.total;
  }

  /** Widens the bins until both the greatest magnitude and its negative fall into one. */
  #reach({ min, max }: Range): void {
    const magnitude = Math.max(-min, max);
    if (!(magnitude > 0)) return;
    // The smallest power of two with magnitude < SIDE · width: it depends on the largest magnitude alone.
    const needed = 2 ** (Math.floor(Math.log2(magnitude)) + 1) / SIDE;
    const exact =
      magnitude < needed * SIDE ? (magnitude < (needed / 2) * SIDE ? needed / 2 : needed) : needed * 2;
    if (this.#width === 0) this.#width = exact;
    while (this.#width < exact) this.#double();
  }

  #double(): void {
    const counts = this.#counts;
    const merged = new Float64Array(2 * SIDE);
    for (let bin = -SIDE; bin < SIDE; bin++) merged[(bin >> 1) + SIDE]! += counts[bin + SIDE]!;
    counts.set(merged);
    this.#width *= 2;
  }

  get isEmpty(): boolean {
    return this.#total === 0;
  }

  extremes(): Range {
    return this.#extremes.extremes();
  }

  /** What was counted. @throws QuantcError E_CALIBRATION_EMPTY when no element was seen */
  histogram(): Histogram {
    const { min, max } = this.extremes();
    return { counts: this.#counts, width: this.#width, zeros: this.#zeros, total: this.#total, min, max };
  }
}

/** Counts by bin: `counts[i]` elements lie in `[(i − n/2)·width, (i + 1 − n/2)·width)`, zeros not among them. */
export interface Histogram extends Range {
  readonly counts: Float64Array;
  /** 0 when all elements are zero. */
  readonly width: number;
  /** Elements that are exactly zero: after a Relu most of them, and any grid with a zero point holds them exactly. */
  readonly zeros: number;
  readonly total: number;
}
