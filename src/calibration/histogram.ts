/**
 * Histograms that grow as data streams by. Bins are `[i·w, (i+1)·w)` with a width `w` that is a power of two, so that
 * bins of one width nest exactly in those of the next: when an element falls outside, `w` doubles and pairs of bins
 * merge. No count is ever lost or split, and the final histogram depends on the elements alone, not on their order or
 * on batches. Memory is constant, whatever the number of elements.
 */
import type { Range } from '../target/facts.js';
import { ExtremesObserver, type Observer } from './observer.js';

/** Bins on either side of zero; the larger side is filled at least half. */
const SIDE = 2048;

export class HistogramObserver implements Observer {
  /** Count of bin i at index i + SIDE; zeros are counted apart. */
  readonly #counts = new Float64Array(2 * SIDE);
  #width = 0;
  #zeros = 0;
  #total = 0;
  readonly #extremes: ExtremesObserver;

  /** @param name of the value, for messages */
  constructor(name: string) {
    this.#extremes = new ExtremesObserver(name);
  }

  observe(elements: Float32Array): void {
    if (elements.length === 0) return;
    this.#extremes.observe(elements);
    const { min, max } = this.extremes();
    this.#reach(Math.max(-min, max));
    const inverse = this.#width === 0 ? 0 : 1 / this.#width;
    let zeros = 0;
    for (let i = 0; i < elements.length; i++) {
      const element = elements[i]!;
      if (element === 0) zeros += 1;
      else this.#counts[Math.floor(element * inverse) + SIDE]! += 1;
    }
    this.#zeros += zeros;
    this.#total += elements.length;
  }

  /** Widens the bins until both this magnitude and its negative fall into one. */
  #reach(magnitude: number): void {
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
