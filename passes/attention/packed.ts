import { addConstant, type Graph, type Model, Tensor, type Value } from '../../src/index.js';

/** Puts weights of the same rows side by side: [k, n₁], [k, n₂] … → [k, n₁ + n₂ + …]. Biases are one row. */
export function addPacked(model: Model, graph: Graph, parts: readonly Tensor[], name: string): Value {
  const [first] = parts as [Tensor];
  const rows = first.shape.length === 2 ? first.shape[0]! : 1;
  const columns = parts.reduce((sum, { shape }) => sum + shape.at(-1)!, 0);
  const compute = (from: readonly Tensor[]): ArrayBufferView => {
    const bytes = from.map((part) => part.bytes());
    const widths = bytes.map(({ length }) => length / rows);
    const whole = new Uint8Array(bytes.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (let row = 0; row < rows; row++)
      for (const [index, part] of bytes.entries()) {
        const width = widths[index]!;
        whole.set(part.subarray(row * width, (row + 1) * width), at);
        at += width;
      }
    return whole;
  };
  const shape = first.shape.length === 2 ? [rows, columns] : [columns];
  return addConstant(model, graph, Tensor.derive(first.dtype, shape, parts, compute, { name }), name);
}
