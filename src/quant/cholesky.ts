/** Triangular factors of symmetric matrices, in double precision. */
import type { Asking } from './asked-products.js';

/** Columns that are finished together: a block of them, by as many rows, fits the processor's nearest cache. */
const BLOCK = 48;
/** Columns that products of an engine are taken out of at a time. */
const WIDE_BLOCK = 128;

/**
 * Factors a symmetric positive definite matrix A = L·Lᵀ, column block by column block: each is finished, then taken out
 * of all that lies to the right of it. The order of its sums is the same on every machine.
 * @param matrix [size, size], row-major; its lower triangle is replaced by L, what lies above it is of no meaning then
 * @returns false when a pivot is not positive (the matrix then holds nothing of use): add to the diagonal and try again
 */
export function choleskyInPlace(matrix: Float64Array, size: number): boolean {
  return finishColumns(matrix, size, 0, size);
}

/**
 * The same for large matrices: what finished columns take out of the next is a product, and asked for.
 * @param block columns at a time
 */
export function* choleskySteps(matrix: Float64Array, size: number, block = WIDE_BLOCK): Asking<boolean> {
  for (let start = 0; start < size; start += block) {
    const end = Math.min(start + block, size);
    if (start > 0) {
      const [rows, columns] = [size - start, end - start];
      const a = new Float64Array(rows * start);
      for (let i = 0; i < rows; i++)
        a.set(matrix.subarray((start + i) * size, (start + i) * size + start), i * start);
      const b = a.subarray(0, columns * start);
      const product = yield { a, b, rows, columns, depth: start };
      for (let i = 0; i < rows; i++) {
        const row = (start + i) * size + start;
        const until = Math.min(i + 1, columns);
        for (let j = 0; j < until; j++) matrix[row + j]! -= product[i * columns + j]!;
      }
    }
    if (!finishColumns(matrix, size, start, end)) return false;
  }
  return true;
}

/** Finishes the columns from `first` to `last`, out of which those before have been taken. */
function finishColumns(matrix: Float64Array, size: number, first: number, last: number): boolean {
  const panel = new Float64Array((size - first) * BLOCK);
  for (let start = first; start < last; start += BLOCK) {
    const end = Math.min(start + BLOCK, last);
    for (let i = start; i < size; i++) {
      const row = i * size;
      for (let j = start; j < Math.min(i, end); j++) {
        const other = j * size;
        let rest = matrix[row + j]!;
        for (let k = start; k < j; k++) rest -= matrix[row + k]! * matrix[other + k]!;
        matrix[row + j] = rest / matrix[other + j]!;
      }
      if (i < end) {
        let pivot = matrix[row + i]!;
        for (let k = start; k < i; k++) pivot -= matrix[row + k]! * matrix[row + k]!;
        if (!(pivot > 0) || pivot === Number.POSITIVE_INFINITY) return false;
        matrix[row + i] = Math.sqrt(pivot);
      }
    }
    takeOut(matrix, size, panel, start, end, last);
  }
  return true;
}

/** A −= P·Pᵀ for the columns from `end` to `stop` and the rows below, P being their columns `start` to `end`. */
function takeOut(
  matrix: Float64Array,
  size: number,
  panel: Float64Array,
  start: number,
  end: number,
  stop: number,
): void {
  const depth = end - start;
  for (let i = end; i < size; i++)
    panel.set(matrix.subarray(i * size + start, i * size + end), (i - end) * depth);
  for (let column = end; column < stop; column += BLOCK) {
    const last = Math.min(column + BLOCK, stop);
    for (let i = column; i < size; i++) {
      const until = Math.min(last, i + 1);
      const row = i * size;
      const own = (i - end) * depth;
      let j = column;
      for (; j + 3 < until; j += 4) {
        const p0 = (j - end) * depth;
        const p1 = p0 + depth;
        const p2 = p1 + depth;
        const p3 = p2 + depth;
        let s0 = 0;
        let s1 = 0;
        let s2 = 0;
        let s3 = 0;
        for (let k = 0; k < depth; k++) {
          const a = panel[own + k]!;
          s0 += a * panel[p0 + k]!;
          s1 += a * panel[p1 + k]!;
          s2 += a * panel[p2 + k]!;
          s3 += a * panel[p3 + k]!;
        }
        matrix[row + j]! -= s0;
        matrix[row + j + 1]! -= s1;
        matrix[row + j + 2]! -= s2;
        matrix[row + j + 3]! -= s3;
      }
      for (; j < until; j++) {
        const other = (j - end) * depth;
        let sum = 0;
        for (let k = 0; k < depth; k++) sum += panel[own + k]! * panel[other + k]!;
        matrix[row + j]! -= sum;
      }
    }
  }
}
