/** Grids that training has put values on: they are taken as they are, instead of being chosen anew. */
import type { Tensor } from '../ir/tensor.js';
import { factKey } from '../pipeline/fact.js';
import type { Range } from './facts.js';

/** A weight that lies on a grid exactly: ŵ = integer · scale. */
export interface GivenGrid {
  /** Of an integer as it would be packed; absent where nothing was said. */
  readonly bits?: number;
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
  /** int8, in the shape of the scale: what makes of each integer one from 0 to 2^bits − 1. Absent: the middle, 2^(bits − 1). */
  readonly zeroPoint?: Tensor;
}

export interface GivenGrids {
  /** By name of the initializer in the model as it was read. */
  readonly weights: ReadonlyMap<string, GivenGrid>;
  /** Weights that stayed in 16 bits, by name. */
  readonly kept?: ReadonlySet<string>;
  /** Ranges of activations by name of the value: those that their grids span exactly. */
  readonly activations: ReadonlyMap<string, Range>;
}

/** Grids that came with the model. */
export const givenGridsFact = factKey<GivenGrids>('given-grids');
