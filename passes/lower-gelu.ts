import { node, rewrite, value } from '../src/index.js';
import { floating } from './algebra/floating.js';

/** As ONNX defines it, exact or by tanh. */
export const lowerGelu = rewrite({
  name: 'lower-gelu',
  doc: 'Gelu(x) → ½·x·(1 + erf(x/√2)), or its approximation by tanh',
  needs: ['typed'],
  bind: { x: value, node },
  pattern: (op, $) => $.node(op.Gelu($.x)),
  check: floating,
  replace: ({ x, node }, op) => {
    const scalar = (number: number) => op.scalar(number, x.dtype!);
    const half = op.Mul(x, scalar(0.5));
    if (node.string('approximate', 'none') !== 'tanh')
      return op.Mul(half, op.Add(op.Erf(op.Mul(x, scalar(Math.SQRT1_2))), scalar(1)));
    const cubic = op.Add(x, op.Mul(op.Mul(op.Mul(x, x), x), scalar(0.044715)));
    return op.Mul(half, op.Add(op.Tanh(op.Mul(cubic, scalar(Math.sqrt(2 / Math.PI)))), scalar(1)));
  },
});
