/** Ranges of activations as a plugin chooses them, from what calibration saw. */
import type { Range } from '../target/facts.js';

/** What calibration saw of one value over all samples: extremes, and how its elements are spread between them. */
export interface SeenValue {
  /** Name of the value in the float model. */
  readonly name: string;
  /** Smallest and largest element. */
  readonly min: number;
  readonly max: number;
  /** Elements seen. */
  readonly total: number;
  /** Elements that are exactly zero, which `counts` leaves out: any grid with a zero point holds them exactly. */
  readonly zeros: number;
  /** `counts[i]` elements lie in [edges[i], edges[i + 1]); bins are equally wide. Empty where all elements are zero. */
  readonly counts: readonly number[];
  readonly edges: readonly number[];
}

/** A way to choose ranges, as `--ranges` and `ranges` name it. */
export interface RangeObserver {
  /** Kebab-case. */
  readonly name: string;
  /** One line: which range it chooses. */
  readonly doc: string;
  /**
   * The range that the integers shall cover; what lies outside is clipped. It is widened to hold zero where the grid
   * must. A pure function: the answer is kept for the next compilation.
   */
  range(seen: SeenValue): Range;
}
