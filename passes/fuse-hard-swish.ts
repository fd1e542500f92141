import { rewrite, value } from '../src/index.js';

/** For executors with a kernel of its own. ONNX Runtime's CPU expands HardSwish and is slower by it. */
export const fuseHardSwish = rewrite({
  name: 'fuse-hard-swish',
  doc: 'x·HardSigmoid<alpha = 1/6, beta = 1/2>(x) → HardSwish(x), its definition',
  opset: 14,
  bind: { x: value },
  pattern: (op, $) =>
    op.Mul($.x, op.HardSigmoid($.x, { alpha: 1 / 6, beta: (beta = 0.5) => Math.abs(beta - 0.5) < 1e-6 })),
  replace: ({ x }, op) => op.HardSwish(x),
});
