/** What is said of a mix of precisions between passes, and to whoever asked for one. */
import type { Node } from '../ir/graph.js';
import { factKey } from '../pipeline/fact.js';
import type { NoiseMetric } from '../pipeline/judge.js';

/** Some nodes kept float together, against one source of error. */
export interface MixStep {
  /** The value or the weight whose integers make the error. */
  readonly source: string;
  /** Names of the nodes that compute in float for it. */
  readonly nodes: readonly string[];
  /** Those of them whose weights are not stored as int8 either. */
  readonly precise: readonly string[];
}

/** One mix, and what it came to. */
export interface MixPoint {
  readonly steps: readonly MixStep[];
  /** Nodes of the main graph that compute in integers. */
  readonly integerNodes: number;
  /** Signal to noise of the outputs over the samples of the search, in dB; null where nothing differs. */
  readonly decibels: number | null;
  /** Nanoseconds an inference that it saves against float, by the target's cost table, on one thread. */
  readonly saving: number;
  /** Bytes of weights beyond those of the mix with all integers. */
  readonly bytes: number;
}

/** What a search found. */
export interface MixReport {
  /** In what the outputs' noise was measured; see `NoiseMetric`. */
  readonly metric: NoiseMetric;
  /** Calibration samples that the search saw. */
  readonly samples: number;
  /** Measurements that it took, those known from before included. */
  readonly trials: number;
  /** From all integers towards float; each has less noise than those before it, and saves less time. */
  readonly front: readonly MixPoint[];
  /** Which of them is the one that was compiled. */
  readonly chosen: number;
}

/**
 * What is wanted of the mix.
 * - `auto`: where integers answer poorly, keep float what gains much and costs little time.
 * - `front`: find mixes from all integers to all float, and compile the first of them.
 * - `fixed`: keep float just these.
 */
export type MixGoal =
  | { readonly kind: 'auto' }
  | {
      readonly kind: 'front';
      /** Signal to noise, in dB, beyond which nobody wants more. */
      readonly enough: number;
    }
  | { readonly kind: 'fixed'; readonly steps: readonly MixStep[] };

/** Weights of few bits that together take no more than so many bytes. */
export interface BytesGoal {
  readonly kind: 'bytes';
  readonly bytes: number;
}

/** Default: `auto`. */
export const mixGoalFact = factKey<MixGoal>('mix-goal');
/** What the search found. */
export const mixFact = factKey<MixReport>('mix');
/** Nodes that stay float and whose weights are not to be stored as int8. */
export const preciseFact = factKey<ReadonlySet<Node>>('precise');
