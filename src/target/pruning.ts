/** Weights set to 0: what the user asks for. */
import { factKey } from '../pipeline/fact.js';
import type { Sparsity } from '../quant/sparsity.js';

/**
 * How weights are chosen: by magnitude; by magnitude times the size of what they are multiplied with over samples
 * (Wanda); or by what the output loses once the others have made up for it, which they then do (SparseGPT).
 */
export const PRUNE_METHODS = ['magnitude', 'wanda', 'sparsegpt'] as const;
export type PruneMethod = (typeof PRUNE_METHODS)[number];

export interface PruneChoice {
  readonly method: PruneMethod;
  readonly sparsity: Sparsity;
  /** As the user wrote it. */
  readonly text: string;
}

/** What the user wants pruned. */
export const pruneFact = factKey<PruneChoice>('prune-choice');
