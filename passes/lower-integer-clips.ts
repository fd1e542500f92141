import { constantNumbers, no, rewrite, scalar, type Value, type Verdict, value } from '../src/index.js';

/** Whole numbers up to this are floats of 16 bits, too. */
const MOST = 2048;

const small = ({
  x,
  least,
  most,
  lift,
}: {
  readonly x: Value;
  readonly least: Value;
  readonly most: Value;
  readonly lift: number;
}): Verdict => {
  if (x.dtype !== 'int32') return no(`${x.name} is ${x.dtype ?? 'of an unknown type'}`, x);
  const bounds = [least, most].map((each) => constantNumbers(each)?.[0]);
  if (bounds.includes(undefined)) return no('its bounds are not constant', x);
  return (
    bounds.every((each) => Math.abs(each! + lift) <= MOST && Math.abs(each!) <= MOST) ||
    no('its bounds are large', x)
  );
};

/** Floats beyond 2²⁴ are not exact, but stay beyond the bounds. For executors whose arithmetic is on floats alone. */
export const lowerIntegerClips = rewrite({
  name: 'lower-integer-clips',
  doc: 'Clip(i, a, b) + c of int32, small bounds → the same in floats, between Casts',
  needs: ['typed'],
  opset: 13,
  bind: { x: value, least: value, most: value, lift: scalar },
  pattern: (op, $) => op.Add(op.Clip($.x, $.least, $.most), $.lift),
  check: small,
  replace: ({ x, least, most, lift }, op) => {
    const bound = (of: Value) => op.scalar(constantNumbers(of)![0]!, 'float');
    const cut = op.Clip(op.Cast(x, { to: 1 }), bound(least), bound(most));
    return op.Cast(op.Add(cut, op.scalar(lift, 'float')), { to: 6 });
  },
});
