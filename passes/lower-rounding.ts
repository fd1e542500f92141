import { no, node, rewrite, type Value, type Verdict, value } from '../src/index.js';

const single = ({ x }: { readonly x: Value }): Verdict =>
  x.dtype === 'float' || no(`its input is ${x.dtype ?? 'of an unknown type'}, not float`, x);

/** Less than any two neighbours' distance from 0.5 among the fractions that an odd number can have in float32. */
const NUDGE = 2 ** -24;

/**
 * Half goes to the even neighbour. With f = ⌊x⌋ and d = x − f, which is exact where x has a fraction at all, the answer
 * is f + 1 where d > ½, or where d = ½ and f is odd. d + odd·2⁻²⁴ > ½ says both at once: fractions above an odd whole
 * number are multiples of 2⁻²³, or (between −1 and 0) of 2⁻²⁴, so that none below ½ is lifted over it. Infinities and
 * NaN have no d, compare false, and stay.
 */
const round = rewrite({
  name: 'round',
  doc: 'Round(x) → ⌊x⌋ + (x − ⌊x⌋ + odd(⌊x⌋)·2⁻²⁴ > ½): to nearest, half to even',
  needs: ['typed'],
  bind: { x: value },
  pattern: (op, $) => op.Round($.x),
  check: single,
  replace: ({ x }, op) => {
    const scalar = (number: number) => op.scalar(number, 'float');
    const floor = op.Floor(x);
    const odd = op.Sub(floor, op.Mul(op.Floor(op.Mul(floor, scalar(0.5))), scalar(2)));
    const fraction = op.Add(op.Sub(x, floor), op.Mul(odd, scalar(NUDGE)));
    return op.Add(floor, op.Where(op.Greater(fraction, scalar(0.5)), scalar(1), scalar(0)));
  },
});

const sign = rewrite({
  name: 'sign',
  doc: 'Sign(x) → 1 where x > 0, −1 where x < 0, else 0',
  needs: ['typed'],
  bind: { x: value },
  pattern: (op, $) => op.Sign($.x),
  check: ({ x }) =>
    x.dtype === 'float' || x.dtype === 'int32' || no(`its input is ${x.dtype ?? 'of an unknown type'}`, x),
  replace: ({ x }, op) => {
    const scalar = (number: number) => op.scalar(number, x.dtype!);
    const negative = op.Where(op.Less(x, scalar(0)), scalar(-1), scalar(0));
    return op.Where(op.Greater(x, scalar(0)), scalar(1), negative);
  },
});

/**
 * r = a − b·(a div b) has the sign of a, as `fmod = 1` wants it; otherwise it takes on the sign of b: where the signs
 * differ and r is not 0, b is added. Division of integers cuts towards zero.
 */
const mod = rewrite({
  name: 'mod',
  doc: 'Mod(a, b) of int32 → a − b·(a div b), plus b where its sign is not that of b',
  needs: ['typed'],
  bind: { a: value, b: value, mod: node },
  pattern: (op, $) => $.mod(op.Mod($.a, $.b)),
  check: ({ a }) =>
    a.dtype === 'int32' || no(`its inputs are ${a.dtype ?? 'of an unknown type'}, not int32`, a),
  replace: ({ a, b, mod }, op) => {
    const rest = op.Sub(a, op.Mul(b, op.Div(a, b)));
    if (mod.int('fmod', 0) === 1) return rest;
    return op.Where(op.Less(op.Mul(rest, b), op.scalar(0, 'int32')), op.Add(rest, b), rest);
  },
});

export const lowerRounding = rewrite.group(
  'lower-rounding',
  'Round, Sign, Mod of int32 → Floor, Div, comparisons and Where',
  [round, sign, mod],
);
