/** A histogram of one value's elements, coarse enough to be kept and drawn. */
export interface Sketch {
  /** Smallest and largest element seen. */
  readonly min: number;
  readonly max: number;
  /** Elements seen, and those of them that are exactly zero, which no bin counts. */
  readonly total: number;
  readonly zeros: number;
  /** `counts[i]` elements lie in `[start + i·width, start + (i + 1)·width)`; at most 64 bins. */
  readonly start: number;
  readonly width: number;
  readonly counts: readonly number[];
}
