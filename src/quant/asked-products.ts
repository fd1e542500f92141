/**
 * Algorithms that ask for products of matrices while they run. Each is written once, as a generator of what it asks for:
 * an engine answers, or plain loops do where there is none.
 */
import type { Floats, MatrixEngine, MatrixProduct } from '../ir/matrix.js';

/** Yields products that it wants and is sent their results, [rows, columns]; returns what it found. */
export type Asking<T> = Generator<MatrixProduct, T, Floats>;

/** Runs to the end on this thread. */
export function answered<T>(steps: Asking<T>): T {
  for (let step = steps.next(); ; step = steps.next(product(step.value))) if (step.done) return step.value;
}

/** Runs to the end with an engine's products. @throws errors of the engine */
export async function answeredBy<T>(
  steps: Asking<T>,
  { multiply }: Pick<MatrixEngine, 'multiply'>,
): Promise<T> {
  for (let step = steps.next(); ; step = steps.next(await multiply(step.value)))
    if (step.done) return step.value;
}

/** The product as its definition says. */
export function product({ a, b, rows, columns, depth, turned = false }: MatrixProduct): Floats {
  const result =
    a instanceof Float32Array ? new Float32Array(rows * columns) : new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      let sum = 0;
      for (let k = 0; k < depth; k++) sum += a[turned ? k * rows + i : i * depth + k]! * b[j * depth + k]!;
      result[i * columns + j] = sum;
    }
  }
  return result;
}
