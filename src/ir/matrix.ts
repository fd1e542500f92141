/** Products of large matrices, which algorithms leave to an engine. Matrices lie in memory row by row. */

/** A product a·bᵀ in double. */
export interface MatrixProduct {
  /** [rows, depth], or [depth, rows] where it is `turned` */
  readonly a: Float64Array;
  /** [columns, depth] */
  readonly b: Float64Array;
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly turned?: boolean;
}

/** An engine for products. With at least as many rows as columns its answers do not depend on its threads. */
export interface MatrixEngine {
  /** Rows of the largest square matrix that several of may be held in memory at a time. */
  readonly largest: number;
  /** [rows, columns] */
  multiply(product: MatrixProduct): Promise<Float64Array>;
  /** Begins a sum of x·xᵀ over many x of `size` elements. */
  gram(size: number): GramSum;
}

/** Σ x·xᵀ: products in float32 over some thousands of x, and sums of those in double. */
export interface GramSum {
  /** @param x [count, size]; it is copied */
  add(x: Float32Array): Promise<void>;
  /** The sum, [size, size], both triangles; nothing can be added afterwards. */
  finish(): Promise<Float64Array<ArrayBuffer>>;
}
