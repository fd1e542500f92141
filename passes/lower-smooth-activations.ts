import {
  node,
  type ReplacementBuilder,
  type ReplacementInput,
  rewrite,
  type Value,
  value,
} from '../src/index.js';
import { floating } from './algebra/floating.js';

/** log(1 + eˣ) without overflow: the larger part is taken out of the logarithm. */
const softplus = (op: ReplacementBuilder, x: Value): ReplacementInput => {
  const small = op.Exp(op.Neg(op.Abs(x)));
  return op.Add(op.Relu(x), op.Log(op.Add(small, op.scalar(1, x.dtype!))));
};

const plus = rewrite({
  name: 'softplus',
  doc: 'Softplus(x) → max(x, 0) + log(1 + e^−|x|)',
  needs: ['typed'],
  bind: { x: value, node },
  pattern: (op, $) => $.node(op.Softplus($.x)),
  check: floating,
  replace: ({ x }, op) => softplus(op, x),
});

const mish = rewrite({
  name: 'mish',
  doc: 'Mish(x) → x·tanh(Softplus(x))',
  needs: ['typed'],
  bind: { x: value, node },
  pattern: (op, $) => $.node(op.Mish($.x)),
  check: floating,
  replace: ({ x }, op) => op.Mul(x, op.Tanh(softplus(op, x))),
});

const quickGelu = rewrite({
  name: 'quick-gelu',
  doc: 'QuickGelu<α>(x) → x·σ(α·x)',
  needs: ['typed'],
  bind: { x: value, node },
  pattern: (op, $) => $.node(op.domain('com.microsoft').QuickGelu($.x)),
  check: floating,
  replace: ({ x, node }, op) => {
    const alpha = node.float('alpha', 1.702);
    return op.Mul(x, op.Sigmoid(alpha === 1 ? x : op.Mul(x, op.scalar(alpha, x.dtype!))));
  },
});

export const lowerSmoothActivations = rewrite.group(
  'lower-smooth-activations',
  'Softplus, Mish, QuickGelu → exponentials, logarithms, Tanh, Sigmoid',
  [plus, mish, quickGelu],
);
