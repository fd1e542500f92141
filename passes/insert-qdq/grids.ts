/** The grids that values are quantized on, each stored once for all values that share it. */
import {
  addInitializer,
  chooseAffine,
  type Graph,
  type NodePlan,
  type Parameters,
  QuantcError,
  type QuantizedType,
  type Range,
  type Target,
  Tensor,
  type Value,
} from '../../src/index.js';

/** Bits of an activation: the target's usual ones, or 16. */
export type Width = 'narrow' | 'wide';

/** What a kernel of the plan gives, and reads but for exceptions. */
export const widthOf = ({ wide }: NodePlan): Width => (wide ? 'wide' : 'narrow');

/** What it reads as input `index`. */
export const widthAt = (plan: NodePlan, index: number): Width =>
  plan.row.eightBits?.includes(index) ? 'narrow' : widthOf(plan);

/** Scale and zero point of one quantized value, as numbers and as initializers. */
export interface Grid {
  readonly scale: number;
  readonly zero: number;
  readonly scaleValue: Value;
  readonly zeroPoint: Value;
}

interface GridType {
  readonly dtype: QuantizedType;
  readonly symmetric: boolean;
}

const ARRAYS = { int8: Int8Array, uint8: Uint8Array, int16: Int16Array, uint16: Uint16Array } as const;

export class Grids {
  readonly #graph: Graph;
  readonly #activation: Target['activation'];
  readonly #rangeOf: (parameters: Parameters) => Range | undefined;
  readonly #known = new Map<string, Grid>();

  constructor(
    graph: Graph,
    activation: Target['activation'],
    rangeOf: (parameters: Parameters) => Range | undefined,
  ) {
    this.#graph = graph;
    this.#activation = activation;
    this.#rangeOf = rangeOf;
  }

  /** Element type of an activation. */
  typeOf(width: Width): GridType {
    const { dtype, symmetric } = (width === 'wide' && this.#activation.wide) || this.#activation;
    return { dtype: dtype as QuantizedType, symmetric };
  }

  /** @throws QuantcError E_CALIBRATION_RANGE where a value was not observed */
  of(parameters: Parameters, width: Width): Grid {
    const range = this.#rangeOf(parameters);
    if (range === undefined) {
      const value = parameters.kind === 'range' ? parameters.of.name : undefined;
      throw new QuantcError('E_CALIBRATION_RANGE', 'no range is known of a value that the plan quantizes', {
        place: { value },
      });
    }
    const { dtype, symmetric } = this.typeOf(width);
    const { scale, zeroPoint } = chooseAffine(range, dtype, { symmetric });
    const key = `${dtype}/${scale}/${zeroPoint}`;
    let grid = this.#known.get(key);
    if (grid === undefined) {
      const zero = ARRAYS[dtype as keyof typeof ARRAYS].of(zeroPoint);
      grid = {
        scale,
        zero: zeroPoint,
        scaleValue: addInitializer(this.#graph, Tensor.floats([scale], []), 'scale'),
        zeroPoint: addInitializer(this.#graph, Tensor.of(dtype, [], zero), 'zero_point'),
      };
      this.#known.set(key, grid);
    }
    return grid;
  }
}
