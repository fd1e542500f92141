/** The two loops over all elements that calibration spends its time in. */

/** Bins on either side of zero. */
export const SIDE = 2048;

/**
 * What an observer asks of the elements it is shown. The reference below says what is right; a faster one, such as the
 * WebAssembly kernel's, gives the same numbers.
 */
export interface Counter {
  /** Least and greatest element, infinite the wrong way round where there is none; NaN are passed over. */
  extremes(elements: Float32Array): { readonly min: number; readonly max: number; readonly finite: boolean };
  /**
   * Adds elements to the counts of their bins: bin i, at index i + SIDE, holds `[i·width, (i + 1)·width)`. Zeros are
   * left out. All elements are finite and below SIDE·width in magnitude; the width is a power of two, or 0 where all
   * elements are zero.
   * @param min of these elements, and `max`: what lies outside need not be looked at
   * @returns how many elements are zero
   */
  count(elements: Float32Array, width: number, counts: Float64Array, min: number, max: number): number;
}

/** Element by element, in doubles. */
export const REFERENCE: Counter = {
  extremes(elements) {
    let min = Number.POSITIVE_INFINITY;
    let max = Number.NEGATIVE_INFINITY;
    let finite = true;
    for (let i = 0; i < elements.length; i++) {
      const element = elements[i]!;
      if (element < min) min = element;
      if (element > max) max = element;
      // NaN compares false with everything: it would pass unseen.
      finite = finite && element - element === 0;
    }
    return { min, max, finite };
  },
  count(elements, width, counts) {
    if (width === 0) return elements.length;
    const inverse = 1 / width;
    let zeros = 0;
    for (let i = 0; i < elements.length; i++) {
      const element = elements[i]!;
      if (element === 0) zeros += 1;
      else counts[Math.floor(element * inverse) + SIDE]! += 1;
    }
    return zeros;
  },
};
