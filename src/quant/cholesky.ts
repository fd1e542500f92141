/** Triangular factors of symmetric matrices, in double precision and in an order that no machine changes. */

/** Rows that are finished together, so that what they read stays in the processor's cache. */
const BLOCK = 48;

/**
 * Factors a symmetric positive definite matrix A = L·Lᵀ.
 * @param matrix [size, size], row-major; its lower triangle is replaced by L, the rest is left as it is
 * @returns false when a pivot is not positive (the matrix then holds nothing of use): add to the diagonal and try again
 */
export function choleskyInPlace(matrix: Float64Array, size: number): boolean {
  for (let start = 0; start < size; start += BLOCK) {
    const end = Math.min(start + BLOCK, size);
    for (let i = start; i < size; i++) {
      const row = i * size;
      for (let j = start; j < Math.min(i, end); j++) {
        const other = j * size;
        matrix[row + j] = (matrix[row + j]! - dot(matrix, row, other, j)) / matrix[other + j]!;
      }
      if (i < end) {
        const pivot = matrix[row + i]! - dot(matrix, row, row, i);
        if (!(pivot > 0) || pivot === Number.POSITIVE_INFINITY) return false;
        matrix[row + i] = Math.sqrt(pivot);
      }
    }
  }
  return true;
}

/** Σ a[p + k]·a[q + k] over k < count, in four sums that are added last. */
function dot(a: Float64Array, p: number, q: number, count: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let k = 0;
  for (; k + 3 < count; k += 4) {
    s0 += a[p + k]! * a[q + k]!;
    s1 += a[p + k + 1]! * a[q + k + 1]!;
    s2 += a[p + k + 2]! * a[q + k + 2]!;
    s3 += a[p + k + 3]! * a[q + k + 3]!;
  }
  for (; k < count; k++) s0 += a[p + k]! * a[q + k]!;
  return s0 + s1 + (s2 + s3);
}

/** Solves L·Lᵀ·x = b in place, L being the lower triangle of `factor` [size, size]. */
export function solveCholesky(factor: Float64Array, size: number, b: Float64Array): void {
  for (let i = 0; i < size; i++) {
    const row = i * size;
    let rest = b[i]!;
    for (let k = 0; k < i; k++) rest -= factor[row + k]! * b[k]!;
    b[i] = rest / factor[row + i]!;
  }
  for (let i = size - 1; i >= 0; i--) {
    const row = i * size;
    const x = b[i]! / factor[row + i]!;
    b[i] = x;
    for (let k = 0; k < i; k++) b[k]! -= factor[row + k]! * x;
  }
}
