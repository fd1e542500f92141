/** Bits of single weights, where they are not those of all others: told by protection, or found by a search. */
import type { Node } from '../ir/graph.js';
import { factKey } from '../pipeline/fact.js';
import type { WeightBits } from '../quant/block-fit.js';

/** What the weights of one node are stored in. */
export interface AssignedBits {
  /** 16 is float16, widened while the model loads where the target computes in float. */
  readonly bits: WeightBits | 16;
  /** Why, for the ledger. */
  readonly reason: string;
}

/** Nodes whose weights have bits of their own. */
export const weightBitsFact = factKey<ReadonlyMap<Node, AssignedBits>>('weight-bits');
