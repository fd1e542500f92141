/**
 * Likeness of two values whose channels may have been rescaled. Algorithms that equalize channels multiply each by a
 * factor and take it back further down: value by value the two differ, and nothing is lost. So for every channel the
 * factor is found that fits best, and what it does not explain is the error.
 */

/** Factors that explain less than this are an error like any other: clipping makes values smaller too. */
const TELLING_DECIBELS = 6;

/** Elements that a channel must have: of fewer, a factor explains too much by chance. */
const LEAST_ELEMENTS = 16;

/** Per-channel sums of x², x·y and y², in constant memory. */
export class ChannelGains {
  readonly #axis: (rank: number) => number;
  #sums: Float64Array | undefined;
  #elements = 0;

  /** @param axis which axis holds the channels, by the rank */
  constructor(axis: (rank: number) => number) {
    this.#axis = axis;
  }

  /** @param reference, candidate elements of one shape; shapes with another number of channels than before are passed over */
  add(reference: ArrayLike<number>, candidate: ArrayLike<number>, shape: readonly number[]): void {
    if (shape.length < 2) return;
    const axis = this.#axis(shape.length);
    const count = shape[axis]!;
    const inner = shape.slice(axis + 1).reduce((product, dim) => product * dim, 1);
    this.#sums ??= new Float64Array(3 * count);
    if (this.#sums.length !== 3 * count || inner === 0) return;
    this.#elements += reference.length;
    for (let from = 0, run = 0; from < reference.length; from += inner, run++) {
      let [xx, xy, yy] = [0, 0, 0];
      for (let i = from; i < from + inner; i++) {
        const [x, y] = [reference[i]!, candidate[i]!];
        xx += x * x;
        xy += x * y;
        yy += y * y;
      }
      const at = 3 * (run % count);
      this.#sums[at]! += xx;
      this.#sums[at + 1]! += xy;
      this.#sums[at + 2]! += yy;
    }
  }

  /**
   * SQNR and cosine after each channel's factor is divided out, where that explains much of the difference.
   * @param plain SQNR without
   */
  explain(plain: number): { readonly sqnr: number; readonly cosine: number } | undefined {
    const sums = this.#sums ?? new Float64Array(0);
    if (this.#elements < (sums.length / 3) * LEAST_ELEMENTS) return undefined;
    let [signal, noise, cross, other] = [0, 0, 0, 0];
    for (let at = 0; at < sums.length; at += 3) {
      const [xx, xy, yy] = [sums[at]!, sums[at + 1]!, sums[at + 2]!];
      // A channel that does not follow the reference at all, or backwards, is left as it is.
      const gain = xy > 0 && xx > 0 ? xy / xx : 1;
      signal += xx;
      noise += Math.max(0, xx - (2 * xy) / gain + yy / (gain * gain));
      cross += xy / gain;
      other += yy / (gain * gain);
    }
    const sqnr = 10 * Math.log10(signal / noise);
    if (!(signal > 0) || !(sqnr > plain + TELLING_DECIBELS)) return undefined;
    return { sqnr, cosine: Math.min(1, cross / Math.sqrt(signal * other)) };
  }
}
