import {
  no,
  node,
  type ReplacementInput,
  rewrite,
  scalar,
  type Value,
  type Verdict,
  value,
} from '../src/index.js';

const floating = (x: Value): Verdict =>
  x.dtype === 'float' || x.dtype === 'float16' || no(`its input is ${x.dtype ?? 'of an unknown type'}`, x);

/**
 * Products give every power of a small whole number as a power function does, signs, infinities and NaN included, but
 * for the last bit. `Sqrt(x)` differs from `x^½` at −∞ alone (NaN instead of ∞), `1/x` not at all.
 */
const POWERS: readonly number[] = [1, 2, 3, 4, 0.5, -0.5, -1, -2];

const power = rewrite({
  name: 'power',
  doc: 'x^n for n of ±1, ±2, 3, 4, ±½ → products, Sqrt, 1/x',
  needs: ['typed'],
  bind: { x: value, n: scalar, node },
  pattern: (op, $) => $.node(op.Pow($.x, $.n)),
  check: ({ x, n, node }) => {
    if (!POWERS.includes(n)) return no(`the exponent is ${n}`, node);
    if (node.outputs[0]!.dtype !== x.dtype) return no('the result has another type', node);
    return floating(x);
  },
  replace: ({ x, n }, op) => {
    const reciprocal = (of: ReplacementInput) => op.Div(op.scalar(1, x.dtype!), of);
    const square = () => op.Mul(x, x);
    switch (n) {
      case 1:
        return x;
      case 2:
        return square();
      case 3:
        return op.Mul(square(), x);
      case 4: {
        const two = square();
        return op.Mul(two, two);
      }
      case 0.5:
        return op.Sqrt(x);
      case -0.5:
        return reciprocal(op.Sqrt(x));
      case -1:
        return reciprocal(x);
      default:
        return reciprocal(square());
    }
  },
});

export const lowerPowers = rewrite.group(
  'lower-powers',
  'Pow by a small constant → products, Sqrt, a reciprocal',
  [power],
);
