/** Gradients of matrix products. */
import type { Value } from '../../ir/graph.js';
import type { Dim } from '../../ir/type.js';
import { tensorType } from '../../ir/type.js';
import { dtypeOf } from '../emit.js';
import { type Backward, type GradientRule, knownShape, rule } from '../rule.js';

/** The last two axes exchanged. */
function turned(at: Backward, value: Value): Value {
  const rank = knownShape(value, at.node).length;
  const perm = Array.from({ length: rank }, (_, axis) => axis);
  perm.splice(rank - 2, 2, rank - 1, rank - 2);
  return at.emit.transpose(value, perm);
}

function widened(at: Backward, value: Value, axis: number): Value {
  const shape = [...(value.shape ?? [])];
  shape.splice(axis < 0 ? shape.length + 1 + axis : axis, 0, 1);
  const type = tensorType(dtypeOf(value), value.shape && shape);
  return at.emit.op('Unsqueeze', [value, at.emit.ints([axis])], {}, type);
}

/** [… , n] → [rows, n] */
function flattened(at: Backward, value: Value, columns: Dim): Value {
  if (value.shape?.length === 2) return value;
  const type = tensorType(dtypeOf(value), [null, columns]);
  const width = typeof columns === 'number' ? columns : undefined;
  if (width !== undefined) return at.emit.op('Reshape', [value, at.emit.ints([-1, width])], {}, type);
  const size = at.emit.op(
    'Gather',
    [at.emit.shapeOf(value), at.emit.ints([-1])],
    { axis: 0 },
    tensorType('int64', [1]),
  );
  const shape = at.emit.op('Concat', [at.emit.ints([-1]), size], { axis: 0 }, tensorType('int64', [2]));
  return at.emit.op('Reshape', [value, shape], {}, type);
}

function product(at: Backward): (Value | undefined)[] {
  const { emit, node } = at;
  const [givenA, givenB] = [at.input(0), at.input(1)];
  const [flatA, flatB] = [givenA, givenB].map((each) => knownShape(each, node).length === 1) as [
    boolean,
    boolean,
  ];
  const a = flatA ? widened(at, givenA, 0) : givenA;
  const b = flatB ? widened(at, givenB, -1) : givenB;
  let g = at.gradient();
  // A vector on the left leaves no rows, one on the right no columns: both are put back.
  if (flatB) g = widened(at, g, -1);
  if (flatA) g = widened(at, g, -2);
  const da = () => emit.reshapeLike(emit.sumTo(multiplied(at, g, turned(at, b)), a), givenA);
  const db = () => {
    const fold = b.shape!.length === 2 && a.shape!.length > 2;
    const gradient = fold
      ? emit.op(
          'Gemm',
          [flattened(at, a, a.shape!.at(-1)!), flattened(at, g, b.shape!.at(-1)!)],
          { transA: 1 },
          b.type,
        )
      : emit.sumTo(multiplied(at, turned(at, a), g), b);
    return emit.reshapeLike(gradient, givenB);
  };
  return [at.wants(0) ? da() : undefined, at.wants(1) ? db() : undefined];
}

function multiplied(at: Backward, a: Value, b: Value): Value {
  const { shape: left } = a;
  const { shape: right } = b;
  const wide = left && right && (left.length >= right.length ? left : right);
  const batch =
    wide === undefined
      ? undefined
      : wide.slice(0, -2).map((dim, axis) => {
          const [l, r] = [left!, right!].map((shape) => shape[axis + shape.length - wide.length] ?? 1);
          return l === 1
            ? r!
            : r === 1 || l === r
              ? l!
              : typeof l === 'number'
                ? l
                : typeof r === 'number'
                  ? r
                  : dim && null;
        });
  const shape = batch && [...batch, left!.at(-2)!, right!.at(-1)!];
  return at.emit.op('MatMul', [a, b], {}, tensorType(dtypeOf(a), shape));
}

/** y = α·A'·B' + β·C, where A' and B' may be transposed. */
const general = rule('Gemm', "dA = α·g·B'ᵀ, dB = α·A'ᵀ·g (turned where A, B were), dC = β·Σ g", (at) => {
  const { emit, node } = at;
  const [a, b] = [at.input(0), at.input(1)];
  const g = at.gradient();
  const alpha = { kind: 'float', value: node.float('alpha', 1) } as const;
  const [transA, transB] = [node.int('transA', 0), node.int('transB', 0)];
  const gemm = (x: Value, y: Value, turnX: number, turnY: number, like: Value) =>
    emit.op('Gemm', [x, y], { alpha, transA: turnX, transB: turnY }, like.type);
  const da = () => (transA ? gemm(b, g, transB, 1, a) : gemm(g, b, 0, 1 - transB, a));
  const db = () => (transB ? gemm(g, a, 1, transA, b) : gemm(a, g, 1 - transA, 0, b));
  const dc = (c: Value) => {
    const beta = node.float('beta', 1);
    return emit.sumTo(beta === 1 ? g : emit.op('Mul', [g, emit.scalar(beta, c)]), c);
  };
  const c = node.inputs[2];
  return [
    at.wants(0) ? da() : undefined,
    at.wants(1) ? db() : undefined,
    c && at.wants(2) ? dc(c) : undefined,
  ];
});

export const PRODUCTS: readonly GradientRule[] = [
  rule('MatMul', 'dA = Σ g·Bᵀ, dB = Σ Aᵀ·g; one product for all rows where B is a matrix', product),
  general,
];
