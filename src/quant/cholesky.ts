/** Triangular factors of symmetric matrices, in double precision and in an order that no machine changes. */

/** Columns that are finished together: a block of them, by as many rows, fits the processor's nearest cache. */
const BLOCK = 48;

/**
 * Factors a symmetric positive definite matrix A = L·Lᵀ, column block by column block: each is finished, then taken out
 * of all that lies to the right of it.
 * @param matrix [size, size], row-major; its lower triangle is replaced by L, what lies above it is of no meaning then
 * @returns false when a pivot is not positive (the matrix then holds nothing of use): add to the diagonal and try again
 */
export function choleskyInPlace(matrix: Float64Array, size: number): boolean {
  const panel = new Float64Array(size * BLOCK);
  for (let start = 0; start < size; start += BLOCK) {
    const end = Math.min(start + BLOCK, size);
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
    takeOut(matrix, size, panel, start, end);
  }
  return true;
}

/** A −= P·Pᵀ for the rows and columns from `end` on, P being their columns `start` to `end`. */
function takeOut(matrix: Float64Array, size: number, panel: Float64Array, start: number, end: number): void {
  const depth = end - start;
  for (let i = end; i < size; i++)
    panel.set(matrix.subarray(i * size + start, i * size + end), (i - end) * depth);
  for (let column = end; column < size; column += BLOCK) {
    const last = Math.min(column + BLOCK, size);
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
