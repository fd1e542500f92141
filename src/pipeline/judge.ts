import type { Model } from '../ir/graph.js';

/**
 * What the noise of a candidate's outputs is, against the reference's over the same samples.
 * - `sqnr`: Σ (y − ŷ)² / Σ y² over all float outputs, the inverse of their signal-to-noise ratio.
 * - `kl`: mean Kullback-Leibler divergence, in nats, of the candidate's distributions over classes or words from the
 *   reference's: what a loss in labels follows, since it does not count what is alike in all scores.
 * - `wrong`: share of samples whose largest score is not that of their label; the reference does not count.
 */
export type NoiseMetric = 'sqnr' | 'kl' | 'wrong';

export interface JudgeOptions {
  /** Which feeds to run; all where it is not said. */
  readonly feeds?: readonly number[];
  /**
   * Nodes between Q/DQ pairs compute in float, as the graph says: the executor makes no integer kernels of them, and
   * quantizes no weight that nobody asked it to.
   */
  readonly asWritten?: boolean;
}

/** Compares many candidates with one model, whose outputs are computed once. */
export interface Judge {
  readonly metric: NoiseMetric;
  /** Samples that it judges by, and feeds that they come in. */
  readonly samples: number;
  readonly feeds: number;
  /**
   * What each feed adds to the noise of a candidate over all feeds, so that their sum is the noise, and a sum over some
   * a part of it. 0 where outputs are equal, Infinity where they are not finite and the reference's are.
   */
  noise(candidate: Model, options?: JudgeOptions): Promise<readonly number[]>;
}

/** Noise in decibels, the more the better: 10·log10(1 / noise). Infinity for none. */
export const decibels = (noise: number): number => -10 * Math.log10(noise);
