/**
 * Rounding of many weights together. The error of a single weight cannot be helped; what the errors add up to in the
 * layer's output can. With A = E[x·xᵀ] over the inputs x of a layer, errors d of one row of weights cost dᵀ·A·d, and
 * where inputs are alike (neighbouring pixels are) errors that cancel cost next to nothing. The integers that cost least
 * are the point of a lattice nearest to the weights in the metric A. Babai's nearest plane finds a near one: with
 * A = Rᵀ·R, R upper triangular, weights are rounded from the last to the first, each after what the errors of those
 * before it call for. That is GPTQ (Frantar et al., arXiv 2210.17323, with its order of columns by their inputs'
 * size), without the inverse of A.
 */

import type { Floats, MatrixEngine } from '../ir/matrix.js';
import { type Bounds, roundHalfEven } from './affine.js';
import { type Asking, answered, answeredBy } from './asked-products.js';
import { choleskyInPlace, choleskySteps } from './cholesky.js';

/** A symmetric positive definite matrix prepared for rounding. */
export interface Metric {
  readonly size: number;
  /** The matrix itself, [size, size]. */
  readonly matrix: Float64Array;
  /** Which weight stands at each place of the factor: those of small inputs first, which are rounded last. */
  readonly order: Int32Array;
  /** R with each row divided by its diagonal, in that order: [size, size], what lies above the diagonal. */
  readonly upper: Float64Array;
  /** The squares of R's diagonal. */
  readonly pivots: Float64Array;
}

/** Size of a matrix from which an engine is asked for products; smaller ones are done sooner without. */
const LARGE = 512;
/** Weights of a row whose errors are carried to the others by one product. */
const BLOCK = 128;

/** Factors a symmetric matrix [size, size]; undefined when it is not positive definite: add to its diagonal. */
export function metricOf(matrix: Float64Array, size: number): Metric | undefined {
  return answered(metricSteps(matrix, size, false));
}

/** The same, with an engine's products where it is worth while. @throws errors of the engine */
export async function metricBy(
  matrix: Float64Array,
  size: number,
  engine: MatrixEngine | undefined,
): Promise<Metric | undefined> {
  return engine === undefined || size <= LARGE
    ? metricOf(matrix, size)
    : await answeredBy(metricSteps(matrix, size, true), engine);
}

function* metricSteps(matrix: Float64Array, size: number, asks: boolean): Asking<Metric | undefined> {
  const order = Int32Array.from({ length: size }, (_, i) => i);
  order.sort((a, b) => matrix[a * size + a]! - matrix[b * size + b]! || a - b);
  const lower = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    const row = order[i]! * size;
    for (let j = 0; j <= i; j++) lower[i * size + j] = matrix[row + order[j]!]!;
  }
  if (!(asks ? yield* choleskySteps(lower, size) : choleskyInPlace(lower, size))) return undefined;
  // Above the diagonal there is room for it.
  const upper = lower;
  const diagonal = Float64Array.from(order, (_, i) => lower[i * size + i]!);
  // In tiles: a column of a large matrix touches another page of memory at every step.
  for (let rows = 0; rows < size; rows += TILE) {
    for (let columns = rows; columns < size; columns += TILE) {
      for (let i = rows; i < Math.min(rows + TILE, size); i++) {
        for (let j = Math.max(columns, i + 1); j < Math.min(columns + TILE, size); j++)
          upper[i * size + j] = lower[j * size + i]! / diagonal[i]!;
      }
    }
  }
  return { size, matrix, order, upper, pivots: diagonal.map((each) => each * each) };
}

const TILE = 32;

/** Rows of weights to round, each with a scale. */
export interface RowsToRound {
  /** [rows, size] */
  readonly weights: Float64Array;
  /** One a row. */
  readonly scales: ArrayLike<number>;
  /** The integers that may be used. */
  readonly bounds: Bounds;
}

/**
 * Integers near weights / scale in a metric, each row for itself. Weights that are 0 (pruned, for the most part) stay 0.
 * @param q where the integers go, [rows, size]
 * @returns the cost dᵀ·A·d of each row's errors d = q·scale − weight
 */
export const nearestPlane = (metric: Metric, rows: RowsToRound, q: Float64Array): Float64Array =>
  settleRows(metric, rows.weights, toIntegers(metric, rows, q));

/** The same, with an engine's products where it is worth while. @throws errors of the engine */
export const nearestPlaneBy = (
  engine: MatrixEngine | undefined,
  metric: Metric,
  rows: RowsToRound,
  q: Float64Array,
): Promise<Float64Array> => settleRowsBy(engine, metric, rows.weights, toIntegers(metric, rows, q));

function toIntegers({ size }: Metric, { weights, scales, bounds }: RowsToRound, q: Float64Array): Settle {
  const { min, max } = bounds;
  return (row, index, wished) => {
    const scale = scales[row]!;
    const at = row * size + index;
    const rounded = weights[at] === 0 ? 0 : Math.min(Math.max(roundHalfEven(wished / scale), min), max);
    q[at] = rounded;
    return rounded * scale;
  };
}

/** Answers with the number that comes nearest to the one wished for a weight of a row. */
export type Settle = (row: number, index: number, wished: number) => number;

/**
 * Goes through the weights of each row from the one that counts most to the one that counts least, and asks what each
 * shall be, after what the errors of those before it call for.
 * @param weights [rows, size]
 * @returns the cost dᵀ·A·d of each row's errors
 */
export function settleRows(metric: Metric, weights: Float64Array, settle: Settle): Float64Array {
  return answered(settleSteps(metric, weights, settle, metric.size));
}

/** The same, with an engine's products where it is worth while. @throws errors of the engine */
export async function settleRowsBy(
  engine: MatrixEngine | undefined,
  metric: Metric,
  weights: Float64Array,
  settle: Settle,
): Promise<Float64Array> {
  if (engine === undefined) return settleRows(metric, weights, settle);
  return await answeredBy(settleSteps(metric, weights, settle, blockFor(metric.size, true)), engine);
}

/** How many weights of a row are settled between products, with an engine or without. */
export const blockFor = (size: number, asks: boolean): number => (asks && size > LARGE ? BLOCK : size);

/**
 * The same, block by block of the weights of all rows: what the errors of earlier blocks call for in the next is a
 * product, and asked for: in float32, since nothing hangs on a millionth of a step. A single block asks for nothing.
 */
export function* settleSteps(
  metric: Metric,
  weights: Float64Array,
  settle: Settle,
  block: number,
): Asking<Float64Array> {
  const { size, upper } = metric;
  const rows = weights.length / size;
  const costs = new Float64Array(rows);
  // [size, rows]: the errors of the weights settled so far lie together.
  const errors = new Float32Array(block < size ? size * rows : 0);
  for (let end = size; end > 0; end -= Math.min(block, end)) {
    const start = Math.max(0, end - block);
    const [columns, depth] = [end - start, size - end];
    let carried: Floats | undefined;
    if (depth > 0) {
      const b = new Float32Array(columns * depth);
      for (let i = 0; i < columns; i++)
        b.set(upper.subarray((start + i) * size + end, (start + i + 1) * size), i * depth);
      carried = yield { a: errors.subarray(end * rows), b, rows, columns, depth, turned: true };
    }
    settleBlock(metric, weights, settle, { start, end, carried, errors, costs });
  }
  return costs;
}

/** Weights from `start` to `end` in the order of the metric. */
interface Block {
  readonly start: number;
  readonly end: number;
  /** What errors of the weights from `end` on call for, [rows, end − start]. */
  readonly carried: Floats | undefined;
  /** Gets the errors, [size, rows], unless it is empty. */
  readonly errors: Float32Array;
  /** Is added to, a row. */
  readonly costs: Float64Array;
}

function settleBlock(
  { size, order, upper, pivots }: Metric,
  weights: Float64Array,
  settle: Settle,
  { start, end, carried: earlier, errors: all, costs }: Block,
): void {
  const rows = costs.length;
  const width = end - start;
  // Four rows share each reading of the factor.
  const errors = new Float64Array(4 * width);
  for (let first = 0; first < rows; first += 4) {
    const lanes = Math.min(4, rows - first);
    errors.fill(0);
    for (let i = width - 1; i >= 0; i--) {
      const row = (start + i) * size + start;
      let s0 = 0;
      let s1 = 0;
      let s2 = 0;
      let s3 = 0;
      for (let j = i + 1, at = 4 * j; j < width; j++, at += 4) {
        const u = upper[row + j]!;
        s0 += u * errors[at]!;
        s1 += u * errors[at + 1]!;
        s2 += u * errors[at + 2]!;
        s3 += u * errors[at + 3]!;
      }
      const index = order[start + i]!;
      for (let lane = 0; lane < lanes; lane++) {
        let carried = lane === 0 ? s0 : lane === 1 ? s1 : lane === 2 ? s2 : s3;
        if (earlier !== undefined) carried += earlier[(first + lane) * width + i]!;
        const weight = weights[(first + lane) * size + index]!;
        const error = settle(first + lane, index, weight - carried) - weight;
        errors[4 * i + lane] = error;
        costs[first + lane]! += pivots[start + i]! * (error + carried) * (error + carried);
      }
    }
    if (all.length === 0) continue;
    for (let i = 0; i < width; i++) {
      for (let lane = 0; lane < lanes; lane++) all[(start + i) * rows + first + lane] = errors[4 * i + lane]!;
    }
  }
}
