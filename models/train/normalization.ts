/** Batch and layer normalization with their gradients. */
import { type Tape, Variable } from './tape.js';

const EPSILON = 1e-5;

/** What batch normalization learns and remembers, each of one row. */
export interface BatchNormState {
  readonly scale: Variable;
  readonly bias: Variable;
  readonly mean: Float32Array;
  readonly variance: Float32Array;
}

/**
 * Normalizes each column over all rows (pixels of all pictures) while recording, and keeps a running mean and
 * variance, momentum 0.1; otherwise normalizes by these, as the exported model does.
 */
export function batchNorm(tape: Tape, x: Variable, state: BatchNormState): Variable {
  const { rows, columns, data: input } = x;
  const mean = new Float32Array(columns);
  const inverse = new Float32Array(columns);
  if (tape.recording) {
    const sums = new Float64Array(columns);
    const squares = new Float64Array(columns);
    for (let i = 0; i < input.length; ) {
      for (let c = 0; c < columns; c++, i++) {
        const value = input[i]!;
        sums[c]! += value;
        squares[c]! += value * value;
      }
    }
    for (let c = 0; c < columns; c++) {
      mean[c] = sums[c]! / rows;
      const variance = Math.max(0, squares[c]! / rows - mean[c]! * mean[c]!);
      inverse[c] = 1 / Math.sqrt(variance + EPSILON);
      state.mean[c]! += 0.1 * (mean[c]! - state.mean[c]!);
      state.variance[c]! += 0.1 * ((variance * rows) / (rows - 1) - state.variance[c]!);
    }
  } else {
    mean.set(state.mean);
    for (let c = 0; c < columns; c++) inverse[c] = 1 / Math.sqrt(state.variance[c]! + EPSILON);
  }
  const y = Variable.zeros(rows, columns);
  const { scale, bias } = state;
  const gain = inverse.map((each, c) => each * scale.data[c]!);
  for (let i = 0; i < input.length; ) {
    for (let c = 0; c < columns; c++, i++) y.data[i] = (input[i]! - mean[c]!) * gain[c]! + bias.data[c]!;
  }
  tape.push(() => {
    const [dx, dy] = [x.gradient, y.gradient];
    const sum = new Float64Array(columns);
    const product = new Float64Array(columns);
    for (let i = 0; i < dy.length; ) {
      for (let c = 0; c < columns; c++, i++) {
        sum[c]! += dy[i]!;
        product[c]! += dy[i]! * (input[i]! - mean[c]!) * inverse[c]!;
      }
    }
    for (let c = 0; c < columns; c++) {
      bias.gradient[c]! += sum[c]!;
      scale.gradient[c]! += product[c]!;
    }
    for (let i = 0; i < dy.length; ) {
      for (let c = 0; c < columns; c++, i++) {
        const normal = (input[i]! - mean[c]!) * inverse[c]!;
        dx[i]! += gain[c]! * (dy[i]! - (sum[c]! + normal * product[c]!) / rows);
      }
    }
  });
  return y;
}

/** Normalizes each row over its columns. */
export function layerNorm(tape: Tape, x: Variable, scale: Variable, bias: Variable): Variable {
  const { rows, columns } = x;
  const y = Variable.zeros(rows, columns);
  const normal = new Float32Array(x.data.length);
  const inverse = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    const from = row * columns;
    let mean = 0;
    for (let c = 0; c < columns; c++) mean += x.data[from + c]! / columns;
    let variance = 0;
    for (let c = 0; c < columns; c++) variance += (x.data[from + c]! - mean) ** 2 / columns;
    inverse[row] = 1 / Math.sqrt(variance + EPSILON);
    for (let c = 0; c < columns; c++) {
      normal[from + c] = (x.data[from + c]! - mean) * inverse[row]!;
      y.data[from + c] = normal[from + c]! * scale.data[c]! + bias.data[c]!;
    }
  }
  tape.push(() => {
    const dy = y.gradient;
    for (let row = 0; row < rows; row++) {
      const from = row * columns;
      let sum = 0;
      let product = 0;
      for (let c = 0; c < columns; c++) {
        const flow = dy[from + c]! * scale.data[c]!;
        sum += flow / columns;
        product += (flow * normal[from + c]!) / columns;
        bias.gradient[c]! += dy[from + c]!;
        scale.gradient[c]! += dy[from + c]! * normal[from + c]!;
      }
      for (let c = 0; c < columns; c++) {
        const flow = dy[from + c]! * scale.data[c]!;
        x.gradient[from + c]! += inverse[row]! * (flow - sum - normal[from + c]! * product);
      }
    }
  });
  return y;
}
