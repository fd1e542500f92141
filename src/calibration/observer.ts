import { QuantcError } from '../errors/error.js';
import type { Range } from '../target/facts.js';

/**
 * Watches the elements of one value over all feeds. What an observer answers must depend on the elements alone, not
 * on how they were cut into batches or in which order they came: results are then the same for any batch.
 */
export interface Observer {
  /** @throws QuantcError E_CALIBRATION_NAN for NaN and infinities */
  observe(elements: Float32Array): void;
  /** Smallest and largest element seen. @throws QuantcError E_CALIBRATION_EMPTY when there was none */
  extremes(): Range;
}

/** Keeps the smallest and the largest element. */
export class ExtremesObserver implements Observer {
  readonly #name: string;
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;

  /** @param name of the value, for messages */
  constructor(name: string) {
    this.#name = name;
  }

  observe(elements: Float32Array): void {
    let min = this.#min;
    let max = this.#max;
    let finite = true;
    for (let i = 0; i < elements.length; i++) {
      const element = elements[i]!;
      if (element < min) min = element;
      if (element > max) max = element;
      // NaN compares false with everything: it would pass unseen.
      finite = finite && element - element === 0;
    }
    if (!finite) throw notFinite(this.#name);
    // -0 and 0 are equal, and which came first must not show.
    this.#min = min + 0;
    this.#max = max + 0;
  }

  extremes(): Range {
    if (this.#min > this.#max) throw nothingSeen(this.#name);
    return { min: this.#min, max: this.#max };
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
