import type { SeededRandom } from '../../src/calibration/random.js';
import type { BatchNormState } from './normalization.js';
import { Variable } from './tape.js';

/** The trainable parameters of a network, made in order from one seed. */
export class Parameters {
  readonly all: Variable[] = [];
  readonly #random: SeededRandom;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** A matrix drawn from a normal distribution of this deviation. */
  matrix(rows: number, columns: number, deviation: number): Variable {
    const data = Float32Array.from({ length: rows * columns }, () => deviation * this.#random.normal());
    return this.#keep(new Variable(data, rows, columns));
  }

  /** One row, all of one value. */
  row(columns: number, value: number): Variable {
    return this.#keep(new Variable(new Float32Array(columns).fill(value), 1, columns));
  }

  batchNorm(columns: number): BatchNormState {
    return {
      scale: this.row(columns, 1),
      bias: this.row(columns, 0),
      mean: new Float32Array(columns),
      variance: new Float32Array(columns).fill(1),
    };
  }

  /** Number of trained numbers. */
  get count(): number {
    return this.all.reduce((sum, each) => sum + each.data.length, 0);
  }

  #keep(variable: Variable): Variable {
    this.all.push(variable);
    return variable;
  }
}
