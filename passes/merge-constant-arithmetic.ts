import { constant, type RealDType, realArray, realsOf, rewrite, Tensor, value } from '../src/index.js';

/** Constants are read to see that nothing cancels; larger ones are left alone. */
const READABLE = 1 << 20;

/** The larger shape, when the smaller one repeats to it and the result has no more elements than either had. */
function commonShape(one: Tensor, other: Tensor): readonly number[] | undefined {
  const [large, small] =
    one.shape.length >= other.shape.length ? [one.shape, other.shape] : [other.shape, one.shape];
  const lead = large.length - small.length;
  const shape = large.map((dim, at) => (at < lead || dim !== 1 ? dim : small[at - lead]!));
  const repeats = small.every((dim, at) => dim === 1 || dim === shape[at + lead]);
  const count = shape.reduce((product, dim) => product * dim, 1);
  return repeats && count === Math.max(one.count, other.count) ? shape : undefined;
}

/** For each element of `shape`, the element of a tensor that is repeated to it. */
function sourceIndices(tensor: Tensor, shape: readonly number[]): (index: number) => number {
  if (tensor.count === 1) return () => 0;
  const lead = shape.length - tensor.shape.length;
  return (index) => {
    let [rest, source, stride] = [index, 0, 1];
    for (let axis = shape.length - 1; axis >= lead; axis--) {
      const dim = tensor.shape[axis - lead]!;
      if (dim !== 1) source += (rest % shape[axis]!) * stride;
      stride *= dim;
      rest = Math.floor(rest / shape[axis]!);
    }
    return source;
  };
}

type Operation = (one: number, other: number) => number;

/** Both constants as one, now: they have been read already, and a long chain would nest derivations without end. */
function combined(one: Tensor, other: Tensor, shape: readonly number[], operation: Operation): Tensor {
  const [a, b] = [realsOf(one), realsOf(other)];
  const [ofOne, ofOther] = [sourceIndices(one, shape), sourceIndices(other, shape)];
  const count = shape.reduce((product, dim) => product * dim, 1);
  const result = realArray(one.dtype as RealDType, count);
  for (let i = 0; i < count; i++) result[i] = operation(a[ofOne(i)]!, b[ofOther(i)]!);
  return Tensor.of(one.dtype, shape, result, { name: one.name });
}

/** Merging must not lose what the two steps kept: no sum that cancels, no product that leaves the range of numbers. */
const SAFE: Readonly<Record<'Add' | 'Mul', (one: number, other: number, merged: number) => boolean>> = {
  Add: (one, other, merged) => Math.abs(merged) >= Math.max(Math.abs(one), Math.abs(other)) / 4,
  Mul: (_one, _other, merged) => merged === 0 || (Math.abs(merged) > 1e-30 && Math.abs(merged) < 1e30),
};

function isSafe(opType: 'Add' | 'Mul', one: Tensor, other: Tensor, shape: readonly number[]): boolean {
  const [a, b] = [realsOf(one), realsOf(other)];
  const [ofOne, ofOther] = [sourceIndices(one, shape), sourceIndices(other, shape)];
  const count = shape.reduce((product, dim) => product * dim, 1);
  for (let i = 0; i < count; i++) {
    const [x, y] = [a[ofOne(i)]!, b[ofOther(i)]!];
    if (!SAFE[opType](x, y, opType === 'Add' ? x + y : x * y)) return false;
  }
  return true;
}

const merge = (opType: 'Add' | 'Mul', sign: string) =>
  rewrite({
    name: opType === 'Add' ? 'sums' : 'products',
    doc: `(x ${sign} a) ${sign} b → x ${sign} (a ${sign} b)`,
    bind: { x: value, a: constant, b: constant },
    pattern: (op, $) => op.oneOf(opType)(op.oneOf(opType)($.x, $.a), $.b),
    check: ({ a, b }) => {
      if (a.dtype !== b.dtype || (a.dtype !== 'float' && a.dtype !== 'double'))
        return `the constants are ${a.dtype}`;
      const shape = commonShape(a, b);
      if (shape === undefined) return `[${a.shape}] and [${b.shape}] together would be larger than either`;
      if (Math.max(a.count, b.count) > READABLE) return 'the constants are large';
      return isSafe(opType, a, b, shape) || 'the constants cancel, and merged would round otherwise';
    },
    replace: ({ x, a, b }, op) => {
      const shape = commonShape(a, b)!;
      const operation: Operation =
        opType === 'Add' ? (one, other) => one + other : (one, other) => one * other;
      const merged = combined(a, b, shape, operation);
      return opType === 'Add' ? op.Add(x, merged) : op.Mul(x, merged);
    },
  });

export const mergeConstantArithmetic = rewrite.group(
  'merge-constant-arithmetic',
  '(x + a) + b → x + (a + b) and (x·a)·b → x·(a·b), where the merged constant is no larger and rounds alike',
  [merge('Add', '+'), merge('Mul', '·')],
);
