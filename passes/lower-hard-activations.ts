import { node, rewrite, value } from '../src/index.js';
import { floating } from './algebra/floating.js';

const hardSwish = rewrite({
  name: 'hard-swish',
  doc: 'HardSwish(x) → x·HardSigmoid<1/6, ½>(x)',
  needs: ['typed'],
  bind: { x: value, node },
  pattern: (op, $) => $.node(op.HardSwish($.x)),
  check: floating,
  replace: ({ x }, op) => op.Mul(x, op.HardSigmoid(x, { alpha: Math.fround(1 / 6), beta: 0.5 })),
});

const hardSigmoid = rewrite({
  name: 'hard-sigmoid',
  doc: 'HardSigmoid<α, β>(x) → Clip(α·x + β, 0, 1)',
  needs: ['typed'],
  opset: 11,
  bind: { x: value, node },
  pattern: (op, $) => $.node(op.HardSigmoid($.x)),
  check: floating,
  replace: ({ x, node }, op) => {
    const scalar = (number: number) => op.scalar(number, x.dtype!);
    const line = op.Add(op.Mul(x, scalar(node.float('alpha', 0.2))), scalar(node.float('beta', 0.5)));
    return op.Clip(line, scalar(0), scalar(1));
  },
});

const thresholded = rewrite({
  name: 'thresholded-relu',
  doc: 'ThresholdedRelu<α>(x) → x where x > α, else 0',
  needs: ['typed'],
  bind: { x: value, node },
  pattern: (op, $) => $.node(op.ThresholdedRelu($.x)),
  check: floating,
  replace: ({ x, node }, op) =>
    op.Where(op.Greater(x, op.scalar(node.float('alpha', 1), x.dtype!)), x, op.scalar(0, x.dtype!)),
});

export const lowerHardActivations = rewrite.group(
  'lower-hard-activations',
  'HardSwish, HardSigmoid, ThresholdedRelu → lines, Clip and Where',
  [hardSwish, hardSigmoid, thresholded],
);
