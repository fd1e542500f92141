import {
  constantOf,
  no,
  node,
  type ReplacementBuilder,
  type ReplacementInput,
  readsFunctionAttributes,
  rewrite,
  type Value,
  value,
} from '../src/index.js';

/** A factor into a constant's own bytes; a Mul where it is none. */
function scaled(x: Value, factor: number, op: ReplacementBuilder): ReplacementInput {
  if (factor === 1) return x;
  const tensor = constantOf(x);
  if (tensor?.dtype !== 'float') return op.Mul(x, op.scalar(factor, x.dtype!));
  return op.derived('float', tensor.shape, [tensor], ([source]) =>
    source!.toFloat32().map((each) => each * Math.fround(factor)),
  );
}

/** A bias of one row, [N] or [1, N], is what integer kernels add; a scalar or a column is broadcast by an Add. */
const isRow = (c: Value, columns: unknown): boolean =>
  (c.shape?.length === 1 || (c.shape?.length === 2 && c.shape[0] === 1)) && c.shape.at(-1) === columns;

/** `α·A′·B′ + β·C` with α into B where it is constant, β into C, a transposed A transposed beforehand. */
export const lowerGemm = rewrite({
  name: 'lower-gemm',
  doc: 'Gemm<α, β, transA>(A, B, C) → Gemm(Aᵀ, α·B, β·C); a bias of another form than a row → Add',
  needs: ['typed'],
  opset: 13,
  bind: { a: value, b: value, c: value.optional, node },
  pattern: (op, $) => $.node(op.Gemm($.a, $.b, $.c)),
  check: ({ a, b, c, node }) => {
    if (readsFunctionAttributes(node)) return no('the caller decides its attributes', node);
    if (a.dtype !== 'float' && a.dtype !== 'float16')
      return no(`${a.name} is ${a.dtype ?? 'of an unknown type'}`, a);
    const plain =
      node.float('alpha', 1) === 1 &&
      (c === undefined || node.float('beta', 1) === 1) &&
      node.int('transA', 0) === 0;
    const columns = b.shape?.[node.int('transB', 0) === 0 ? 1 : 0];
    if (c !== undefined && (c.shape === undefined || typeof columns !== 'number'))
      return no('the shape of its bias is not known', node);
    return !plain || (c !== undefined && !isRow(c, columns)) || no('it is plain already', node);
  },
  replace: ({ a, b, c, node }, op) => {
    const columns = b.shape?.[node.int('transB', 0) === 0 ? 1 : 0];
    const left = node.int('transA', 0) === 0 ? a : op.Transpose(a, { perm: [1, 0] });
    const right = scaled(b, node.float('alpha', 1), op);
    const bias = c && scaled(c, node.float('beta', 1), op);
    const attributes = { alpha: undefined, beta: undefined, transA: undefined };
    if (bias === undefined || isRow(c!, columns)) return op.like(node).Gemm(left, right, bias, attributes);
    return op.Add(op.like(node).Gemm(left, right, attributes), bias);
  },
});
