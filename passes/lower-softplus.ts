import { node, rewrite, value } from '../src/index.js';
import { floating } from './algebra/floating.js';

/** log(1 + eˣ) without overflow: the larger part is taken out of the logarithm. */
export const lowerSoftplus = rewrite({
  name: 'lower-softplus',
  doc: 'Softplus(x) → max(x, 0) + log(1 + e^−|x|)',
  needs: ['typed'],
  bind: { x: value, node },
  pattern: (op, $) => $.node(op.Softplus($.x)),
  check: floating,
  replace: ({ x }, op) => {
    const small = op.Exp(op.Neg(op.Abs(x)));
    return op.Add(op.Relu(x), op.Log(op.Add(small, op.scalar(1, x.dtype!))));
  },
});
