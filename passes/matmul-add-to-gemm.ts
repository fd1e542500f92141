import { constant, isReal, no, node, realArray, realsOf, rewrite, Tensor, value } from '../src/index.js';

/** A summand as one number a column, which is how integer kernels of Gemm want it. */
function asColumns(c: Tensor, columns: number): Tensor | undefined {
  if (c.shape.length > 2 || !isReal(c.dtype)) return undefined;
  const { dtype } = c;
  if (c.count === columns && c.shape.at(-1) === columns)
    return c.shape.length === 1 ? c : c.with({ shape: [columns] });
  if (c.count !== 1) return undefined;
  const repeat = ([one]: readonly Tensor[]): ArrayBufferView => {
    const all = realArray(dtype, columns);
    const number = realsOf(one!)[0]!;
    for (let i = 0; i < columns; i++) all[i] = number;
    return all;
  };
  return Tensor.derive(dtype, [columns], [c], repeat, { name: c.name });
}

export const matmulAddToGemm = rewrite({
  name: 'matmul-add-to-gemm',
  doc: 'MatMul(a, B) + c with matrices a and constant B, and one number of c a column → Gemm(a, B, c)',
  needs: ['typed'],
  opset: 7,
  bind: { a: value, b: constant, c: constant, matmul: node },
  pattern: (op, $) => op.Add($.matmul(op.MatMul($.a, $.b)), $.c),
  check: ({ a, b, c, matmul }) => {
    if (a.shape?.length !== 2) return no(`${a.name} is not known to be a matrix`, matmul);
    if (b.shape.length !== 2) return no(`the weights are [${b.shape}]`, matmul);
    if (!isReal(b.dtype) || c.dtype !== b.dtype) return no(`the types are ${b.dtype} and ${c.dtype}`, matmul);
    return asColumns(c, b.shape[1]!) !== undefined || `the summand is [${c.shape}], not one number a column`;
  },
  replace: ({ a, b, c, matmul }, op) => op.like(matmul).Gemm(a, b, asColumns(c, b.shape[1]!)),
});
