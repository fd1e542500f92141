import type { Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';

/** What a model with other weights answers, against itself with its own. */
export interface TrialFigures {
  /** Mean divergence of the distributions in nats, or energy of the error over that of the outputs; 0 for equality. */
  readonly noise: number;
  /** Language models: e to the mean loss of the next token, and the share of tokens whose likeliest word is right. */
  readonly perplexity?: number;
  readonly accuracy?: number;
}

/** A model whose weights may be replaced from run to run. */
export interface WeightTrials {
  readonly metric: 'kl' | 'sqnr';
  readonly samples: number;
  /**
   * @param replaced other tensors of the same types; what is not said keeps the model's own
   * @param predicts whether language models tell how well they predict, too, which takes longer. Default false.
   */
  measure(replaced: ReadonlyMap<Value, Tensor>, predicts?: boolean): Promise<TrialFigures>;
}
