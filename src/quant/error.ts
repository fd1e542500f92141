/** How far one array lies from another. */
import { QuantcError } from '../errors/error.js';

export interface ErrorFacts {
  /** Elements compared; pairs in which the reference is not finite are left out and counted in `nonfinite`. */
  readonly count: number;
  /** 10·log10(Σ y² / Σ (y − ŷ)²) in dB: Infinity for equality, NaN when nothing was compared. */
  readonly sqnr: number;
  /** Σ y·ŷ / √(Σ y² · Σ ŷ²); 1 when both are all zero, 0 when one is. */
  readonly cosine: number;
  readonly maxError: number;
  readonly meanSquaredError: number;
  /** Pairs in which exactly one side is finite, or both are not and differ. Anything above 0 is a broken model. */
  readonly mismatched: number;
  readonly nonfinite: number;
}

/** Sums errors over as many pieces as one likes, in O(1) memory and in double precision. */
export class ErrorSum {
  #count = 0;
  #signal = 0;
  #noise = 0;
  #candidate = 0;
  #cross = 0;
  #maxError = 0;
  #mismatched = 0;
  #nonfinite = 0;

  /** @throws QuantcError E_ERROR_LENGTH when the two differ in length. */
  add(reference: ArrayLike<number>, candidate: ArrayLike<number>): this {
    if (reference.length !== candidate.length) {
      throw new QuantcError(
        'E_ERROR_LENGTH',
        `${candidate.length} elements cannot be compared with ${reference.length}`,
      );
    }
    for (let i = 0; i < reference.length; i++) {
      const y = reference[i]!;
      const z = candidate[i]!;
      if (!Number.isFinite(y) || !Number.isFinite(z)) {
        if (!Number.isFinite(y)) this.#nonfinite++;
        if (!Object.is(y, z)) this.#mismatched++;
        continue;
      }
      const difference = y - z;
      this.#count++;
      this.#signal += y * y;
      this.#candidate += z * z;
      this.#cross += y * z;
      this.#noise += difference * difference;
      this.#maxError = Math.max(this.#maxError, Math.abs(difference));
    }
    return this;
  }

  get facts(): ErrorFacts {
    const count = this.#count;
    const norms = Math.sqrt(this.#signal) * Math.sqrt(this.#candidate);
    const bothZero = this.#signal === 0 && this.#candidate === 0;
    return {
      count,
      sqnr:
        count === 0
          ? Number.NaN
          : this.#noise === 0
            ? Number.POSITIVE_INFINITY
            : 10 * Math.log10(this.#signal / this.#noise),
      cosine: bothZero ? 1 : norms === 0 ? 0 : Math.min(1, Math.max(-1, this.#cross / norms)),
      maxError: this.#maxError,
      meanSquaredError: count === 0 ? Number.NaN : this.#noise / count,
      mismatched: this.#mismatched,
      nonfinite: this.#nonfinite,
    };
  }
}

/** The error of one array against another. */
export const errorOf = (reference: ArrayLike<number>, candidate: ArrayLike<number>): ErrorFacts =>
  new ErrorSum().add(reference, candidate).facts;
