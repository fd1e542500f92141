import { constant, node, rewrite, value } from '../src/index.js';
import { floating } from './algebra/floating.js';

/** Both halves of a number: of max(x, 0) and min(x, 0) one is always 0. */
export const lowerPrelu = rewrite({
  name: 'lower-prelu',
  doc: 'PRelu(x, s) → max(x, 0) + s·min(x, 0)',
  needs: ['typed'],
  bind: { x: value, slope: constant, node },
  pattern: (op, $) => $.node(op.PRelu($.x, $.slope)),
  check: (match) => floating(match),
  replace: ({ x, slope }, op) => op.Add(op.Relu(x), op.Mul(op.Min(x, op.scalar(0, x.dtype!)), slope)),
});
