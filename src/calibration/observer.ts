/** What is kept of a value while runs stream by, besides its histogram: extremes, and their moving average. */
import { QuantcError } from '../errors/error.js';
import { type Counter, REFERENCE } from '../quant/counter.js';
import type { Range } from '../target/facts.js';

/**
 * Watches the elements of one value over all feeds. What an observer answers must depend on the elements alone, not
 * on how they were cut into batches or in which order they came: results are then the same for any batch.
 */
export interface Observer {
  /**
   * @returns the extremes of these elements; undefined where there are none
   * @throws QuantcError E_CALIBRATION_NAN for NaN and infinities
   */
  observe(elements: Float32Array): Range | undefined;
  /** Smallest and largest element seen. @throws QuantcError E_CALIBRATION_EMPTY when there was none */
  extremes(): Range;
}

/** Keeps the smallest and the largest element. */
export class ExtremesObserver implements Observer {
  readonly #name: string;
  readonly #counter: Counter;
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;

  /** @param name of the value, for messages */
  constructor(name: string, counter: Counter = REFERENCE) {
    this.#name = name;
    this.#counter = counter;
  }

  observe(elements: Float32Array): Range | undefined {
    if (elements.length === 0) return undefined;
    const { min, max, finite } = this.#counter.extremes(elements);
    if (!finite) throw notFinite(this.#name);
    // -0 and 0 are equal, and which came first must not show.
    const seen = { min: min + 0, max: max + 0 };
    this.add(seen);
    return seen;
  }

  /** Takes up what was seen elsewhere. */
  add({ min, max }: Range): void {
    this.#min = Math.min(this.#min, min);
    this.#max = Math.max(this.#max, max);
  }

  extremes(): Range {
    if (this.#min > this.#max) throw nothingSeen(this.#name);
    return { min: this.#min, max: this.#max };
  }
}

/**
 * The mean over runs of the extremes of each, which single outliers move little. For the first 1/constant runs it is
 * the plain mean; from then on the older ones fade: x ← x + constant · (run − x), as in Jacob et al., "Quantization and
 * Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference" (2018), section 3.1. Runs must come in
 * the order of the samples.
 */
export class MovingAverage {
  readonly #constant: number;
  #runs = 0;
  #min = 0;
  #max = 0;

  /** @param constant in (0, 1] */
  constructor(constant: number) {
    this.#constant = constant;
  }

  add({ min, max }: Range): void {
    this.#runs += 1;
    const weight = Math.max(this.#constant, 1 / this.#runs);
    this.#min += weight * (min - this.#min);
    this.#max += weight * (max - this.#max);
  }

  /** Undefined when there was no run. */
  average(): Range | undefined {
    return this.#runs === 0 ? undefined : { min: this.#min, max: this.#max };
  }
}

/** The error for a value that is NaN or infinite on calibration data. */
export const notFinite = (value: string): QuantcError =>
  new QuantcError('E_CALIBRATION_NAN', 'the float model computes NaN or infinity on this data', {
    place: { value },
    hint: 'Check that the data is scaled as the model was trained, then the model itself; no range can hold this.',
  });

/** The error for a value that had no element in any feed. */
export const nothingSeen = (value: string): QuantcError =>
  new QuantcError('E_CALIBRATION_EMPTY', 'no element of this value was seen', { place: { value } });
