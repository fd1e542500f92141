/** Grids that training has put values on: they are taken as they are, instead of being chosen anew. */
import type { Tensor } from '../ir/tensor.js';
import { factKey } from '../pipeline/fact.js';
import type { Range } from './facts.js';

/** A weight that lies on a grid exactly: ŵ = integer · scale. */
export interface GivenGrid {
  /** Integers that the grid has, e.g. −8 and 7. */
  readonly low: number;
  readonly high: number;
  /** The axis along which scales differ, or that is cut in blocks; absent: one scale for all. */
  readonly axis?: number;
  readonly blockSize?: number;
  /** [] or [channels], or the weight's shape with `axis` cut in blocks. */
  readonly scale: Tensor;
  /** int8, in the shape of the weight. */
  readonly integers: Tensor;
}

export interface GivenGrids {
  /** By name of the initializer in the model as it was read. */
  readonly weights: ReadonlyMap<string, GivenGrid>;
  /** Ranges of activations by name of the value: those that their grids span exactly. */
  readonly activations: ReadonlyMap<string, Range>;
}

/** Grids that came with the model. */
export const givenGridsFact = factKey<GivenGrids>('given-grids');
