/** What is decided about a model's inputs before anything else is done with it. */
import type { Model } from '../ir/graph.js';
import type { Ledger } from '../pipeline/ledger.js';
import type { Target } from '../target/target.js';
import { type DimSizes, type FixedDim, specialize } from './dims.js';
import { type FixedInputs, fixInputs } from './fixed-inputs.js';

/** The part of a request that makes a model less general. */
export interface Specialization {
  /**
   * Open dimensions of the inputs that become numbers, by name, or by `input:axis` where they have none. Data must have
   * these sizes.
   */
  readonly dims?: DimSizes;
  /** Inputs that always have one value; they stay in the signature. Data must feed these values. */
  readonly fix?: FixedInputs;
  /** Most steps that a recurrent operator is written out for, where the target has none. Default 128. */
  readonly unroll?: number;
}

/**
 * Specializes a freshly read model, in place.
 * @returns the dimensions that became numbers
 * @throws QuantcError as `specialize` and `fixInputs` say
 */
export function specializeFor(
  { dims = {}, fix = {} }: Specialization,
  model: Model,
  target?: Target,
  ledger?: Ledger,
): readonly FixedDim[] {
  const fixed = specialize(model, dims, target, ledger);
  fixInputs(model, fix);
  return fixed;
}
