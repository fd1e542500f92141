import { constant, no, rewrite, Tensor, type Value, type Verdict, value } from '../src/index.js';

/** 0 … n − 1 along the last axis, all other axes 1. */
function counts(places: Tensor, rows: number): boolean {
  if (places.count !== rows || places.shape.at(-1) !== rows) return false;
  return places.toNumbers().every((each, at) => each === at);
}

/** An index with an axis of one behind it, which the places are compared along. */
function indices(x: Value, table: Tensor, places: Tensor): Verdict {
  if (x.dtype !== 'int32' && x.dtype !== 'int64')
    return no(`${x.name} is ${x.dtype ?? 'of an unknown type'}`, x);
  if (x.shape?.at(-1) !== 1) return no(`${x.name} does not end in an axis of one`, x);
  if (table.shape.length !== 2 || table.dtype !== 'float')
    return no('the other factor is no table of floats', x);
  if (places.shape.length > x.shape.length) return no('the places have more axes than the index', x);
  return counts(places, table.shape[0]!) || no('the places are not 0, 1, 2 …', x);
}

/**
 * A row of zeros with one 1, times a table, is a row of the table; where no place is equal it is a row of zeros. Zeros
 * before and behind the table stand for those: an index is cut to [−1, n] and lifted by one.
 */
export const lowerOneHotProducts = rewrite({
  name: 'lower-one-hot-products',
  doc: 'MatMul(Cast(i = [0 … n − 1]), W) → Gather of rows of W, rows of zeros at both ends',
  needs: ['typed'],
  opset: 13,
  bind: { x: value, places: constant, table: constant },
  pattern: (op, $) => op.MatMul(op.Cast(op.Equal($.x, $.places), { to: 1 }), $.table),
  check: ({ x, places, table }) => indices(x, table, places),
  replace: ({ x, table }, op) => {
    const [rows, width] = table.shape as readonly [number, number];
    const padded = op.derived('float', [rows + 2, width], [table], ([source]) => {
      const all = new Float32Array((rows + 2) * width);
      all.set(source!.toFloat32(), width);
      return all;
    });
    const dtype = x.dtype!;
    const flat = op.Squeeze(x, Tensor.ints([-1]));
    const cut = op.Clip(flat, op.scalar(-1, dtype), op.scalar(rows, dtype));
    return op.Gather(padded, op.Add(cut, op.scalar(1, dtype)), { axis: 0 });
  },
});
