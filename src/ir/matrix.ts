/** Products of large matrices, which algorithms leave to an engine. Matrices lie in memory row by row. */

export type Floats = Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer>;

/** A product a·bᵀ, in the precision of its factors, which is the same for both. */
export interface MatrixProduct {
  /** [rows, depth], or [depth, rows] where it is `turned` */
  readonly a: Floats;
  /** [columns, depth] */
  readonly b: Floats;
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
  multiply(product: MatrixProduct): Promise<Floats>;
  /** Begins a sum of x·xᵀ over many x of `size` elements. */
  gram(size: number): GramSum;
}

/** Σ x·xᵀ: products in float32 over some thousands of x, and sums of those in double. */
export interface GramSum {
  readonly size: number;
  /** @param x [count, size]; it is copied */
  add(x: Float32Array): Promise<void>;
  /** The sum, [size, size], both triangles; nothing can be added afterwards. */
  finish(): Promise<Float64Array<ArrayBuffer>>;
}
