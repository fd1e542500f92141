import { node, rewrite, value } from '../src/index.js';
import { floating } from './algebra/floating.js';

const mish = rewrite({
  name: 'mish',
  doc: 'Mish(x) → x·tanh(Softplus(x))',
  needs: ['typed'],
  bind: { x: value, node },
  pattern: (op, $) => $.node(op.Mish($.x)),
  check: floating,
  replace: ({ x }, op) => op.Mul(x, op.Tanh(op.Softplus(x))),
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
  'Mish, QuickGelu → products with Tanh of Softplus, with Sigmoid',
  [mish, quickGelu],
);
