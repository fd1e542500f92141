/** Operators on rows of features that both models use, each with its gradient. */
import { multiply, transposed } from './multiply.js';
import { type Tape, Variable } from './tape.js';

const addInto = (to: Float32Array, from: Float32Array): void => {
  for (let i = 0; i < to.length; i++) to[i]! += from[i]!;
};

/** `x · wᵀ + b`: w is [out, in]; the bias may be absent. */
export function linear(tape: Tape, x: Variable, w: Variable, b?: Variable): Variable {
  const { rows, columns: inner } = x;
  const columns = w.rows;
  const y = Variable.zeros(rows, columns);
  multiply(x.data, transposed(w.data, columns, inner), y.data, rows, columns, inner);
  if (b) for (let i = 0; i < y.data.length; ) for (let c = 0; c < columns; c++, i++) y.data[i]! += b.data[c]!;
  tape.push(() => {
    const dy = y.gradient;
    const dw = new Float32Array(w.data.length);
    multiply(transposed(dy, rows, columns), x.data, dw, columns, inner, rows);
    addInto(w.gradient, dw);
    const dx = new Float32Array(x.data.length);
    multiply(dy, w.data, dx, rows, inner, columns);
    addInto(x.gradient, dx);
    if (b) for (let i = 0; i < dy.length; ) for (let c = 0; c < columns; c++, i++) b.gradient[c]! += dy[i]!;
  });
  return y;
}

/** Elementwise sum of equal shapes. */
export function add(tape: Tape, a: Variable, b: Variable): Variable {
  const y = Variable.zeros(a.rows, a.columns);
  for (let i = 0; i < y.data.length; i++) y.data[i] = a.data[i]! + b.data[i]!;
  tape.push(() => {
    addInto(a.gradient, y.gradient);
    addInto(b.gradient, y.gradient);
  });
  return y;
}

/** Adds a table of `period` rows to every `period` rows of x: positions of tokens. */
export function addPeriodic(tape: Tape, x: Variable, table: Variable): Variable {
  const y = Variable.zeros(x.rows, x.columns);
  const period = table.data.length;
  for (let i = 0; i < y.data.length; i++) y.data[i] = x.data[i]! + table.data[i % period]!;
  tape.push(() => {
    addInto(x.gradient, y.gradient);
    for (let i = 0; i < y.data.length; i++) table.gradient[i % period]! += y.gradient[i]!;
  });
  return y;
}

export function relu(tape: Tape, x: Variable): Variable {
  const y = Variable.zeros(x.rows, x.columns);
  const [input, output] = [x.data, y.data];
  for (let i = 0; i < input.length; i++) output[i] = Math.max(0, input[i]!);
  tape.push(() => {
    const [dx, dy] = [x.gradient, y.gradient];
    for (let i = 0; i < dx.length; i++) if (input[i]! > 0) dx[i]! += dy[i]!;
  });
  return y;
}

/** The error function by Abramowitz and Stegun 7.1.26; within 1.5e-7. */
function erf(x: number): number {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const polynomial =
    t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - polynomial * Math.exp(-x * x));
}

/** `x · Φ(x)`, Φ the normal distribution: Gelu in its exact form. */
export function gelu(tape: Tape, x: Variable): Variable {
  const y = Variable.zeros(x.rows, x.columns);
  const phi = new Float32Array(x.data.length);
  for (let i = 0; i < y.data.length; i++) {
    phi[i] = 0.5 * (1 + erf(x.data[i]! * Math.SQRT1_2));
    y.data[i] = x.data[i]! * phi[i]!;
  }
  tape.push(() => {
    const peak = 1 / Math.sqrt(2 * Math.PI);
    for (let i = 0; i < y.data.length; i++) {
      const value = x.data[i]!;
      x.gradient[i]! += y.gradient[i]! * (phi[i]! + value * peak * Math.exp(-0.5 * value * value));
    }
  });
  return y;
}

/** Mean of every `group` rows. */
export function meanOfRows(tape: Tape, x: Variable, group: number): Variable {
  const { columns } = x;
  const y = Variable.zeros(x.rows / group, columns);
  const target = (i: number): number => Math.floor(i / (columns * group)) * columns + (i % columns);
  for (let i = 0; i < x.data.length; i++) y.data[target(i)]! += x.data[i]! / group;
  tape.push(() => {
    for (let i = 0; i < x.data.length; i++) x.gradient[i]! += y.gradient[target(i)]! / group;
  });
  return y;
}

/**
 * Mean cross-entropy of softmax(logits) against classes, with label smoothing; sets the logits' gradient on the way
 * back. @returns the loss and how many rows were right
 */
export function crossEntropy(
  tape: Tape,
  logits: Variable,
  labels: ArrayLike<number>,
  smoothing = 0,
): { loss: number; right: number } {
  const { rows, columns } = logits;
  const gradient = new Float32Array(logits.data.length);
  let loss = 0;
  let right = 0;
  for (let row = 0; row < rows; row++) {
    const scores = logits.data.subarray(row * columns, (row + 1) * columns);
    const top = scores.reduce((a, b) => Math.max(a, b));
    let sum = 0;
    for (const score of scores) sum += Math.exp(score - top);
    if (scores.indexOf(top) === labels[row]) right += 1;
    for (let column = 0; column < columns; column++) {
      const log = scores[column]! - top - Math.log(sum);
      const wanted = smoothing / columns + (column === labels[row] ? 1 - smoothing : 0);
      loss -= (wanted * log) / rows;
      gradient[row * columns + column] = (Math.exp(log) - wanted) / rows;
    }
  }
  tape.push(() => addInto(logits.gradient, gradient));
  return { loss, right };
}
