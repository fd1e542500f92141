import { rewrite, value } from '../src/index.js';
import { floating } from './algebra/floating.js';

const negation = rewrite({
  name: 'negation',
  doc: 'Neg(x) → x·(−1)',
  needs: ['typed'],
  bind: { x: value },
  pattern: (op, $) => op.Neg($.x),
  check: floating,
  replace: ({ x }, op) => op.Mul(x, op.scalar(-1, x.dtype!)),
});

const reciprocal = rewrite({
  name: 'reciprocal',
  doc: 'Reciprocal(x) → 1/x',
  needs: ['typed'],
  bind: { x: value },
  pattern: (op, $) => op.Reciprocal($.x),
  check: floating,
  replace: ({ x }, op) => op.Div(op.scalar(1, x.dtype!), x),
});

const magnitude = rewrite({
  name: 'magnitude',
  doc: 'Abs(x) → max(x, −x)',
  needs: ['typed'],
  bind: { x: value },
  pattern: (op, $) => op.Abs($.x),
  check: floating,
  replace: ({ x }, op) => op.Max(x, op.Mul(x, op.scalar(-1, x.dtype!))),
});

export const lowerSigns = rewrite.group(
  'lower-signs',
  'Neg, Reciprocal, Abs of floats → a product, a quotient, the larger of both signs',
  [negation, reciprocal, magnitude],
);
