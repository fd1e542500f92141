import {
  constant,
  isReal,
  no,
  node,
  type RealDType,
  realArray,
  realsOf,
  rewrite,
  type Tensor,
  value,
} from '../src/index.js';

/** αB or αBᵀ as [K, N]. */
function columns(
  b: Tensor,
  alpha: number,
  transposed: boolean,
): (from: readonly Tensor[]) => ArrayBufferView {
  const [rows, count] = transposed ? [b.shape[1]!, b.shape[0]!] : [b.shape[0]!, b.shape[1]!];
  return ([only]) => {
    const before = realsOf(only!);
    const after = realArray(b.dtype as RealDType, before.length);
    for (let k = 0, at = 0; k < rows; k++)
      for (let n = 0; n < count; n++, at++) after[at] = alpha * before[transposed ? n * rows + k : at]!;
    return after;
  };
}

const scaled =
  (beta: number, dtype: RealDType) =>
  ([only]: readonly Tensor[]): ArrayBufferView => {
    const before = realsOf(only!);
    const after = realArray(dtype, before.length);
    for (let i = 0; i < before.length; i++) after[i] = beta * before[i]!;
    return after;
  };

/** For targets with a better MatMul than Gemm; ONNX Runtime's CPU prefers Gemm. */
export const gemmToMatmulAdd = rewrite({
  name: 'gemm-to-matmul-add',
  doc: 'Gemm(a, B, c) → MatMul(a, αB) + βc, with constant B and c, B transposed where Gemm would',
  bind: { a: value, b: constant, c: constant.optional, gemm: node },
  pattern: (op, $) => $.gemm(op.Gemm($.a, $.b, $.c, { transA: (transposed = 0) => transposed === 0 })),
  check: ({ b, c, gemm }) => {
    const odd = [b, c].find((each) => each !== undefined && !isReal(each.dtype));
    return odd === undefined || no(`${odd.name} is ${odd.dtype}`, gemm);
  },
  replace: ({ a, b, c, gemm }, op) => {
    const [alpha, beta] = [gemm.float('alpha', 1), gemm.float('beta', 1)];
    const transposed = gemm.int('transB', 0) === 1;
    const shape = transposed ? [b.shape[1]!, b.shape[0]!] : b.shape;
    const weight =
      alpha === 1 && !transposed ? b : op.derived(b.dtype, shape, [b], columns(b, alpha, transposed));
    const product = op.MatMul(a, weight);
    if (c === undefined) return product;
    const summand = beta === 1 ? c : op.derived(c.dtype, c.shape, [c], scaled(beta, c.dtype as RealDType));
    return op.Add(product, summand);
  },
});
