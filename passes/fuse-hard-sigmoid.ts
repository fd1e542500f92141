import {
  no,
  type Pattern,
  type PatternBuilder,
  type PatternInput,
  rewrite,
  scalar,
  value,
} from '../src/index.js';

/** Clip(x + 3, 0, 6): the middle of HardSigmoid and HardSwish as they are exported. */
const clipped = (op: PatternBuilder, x: PatternInput): Pattern => op.Clip(op.Add(x, 3), 0, 6);
const sixth = (op: PatternBuilder, x: PatternInput): Pattern => op.anyOf(op.Div(x, 6), op.Mul(x, 1 / 6));

const third = rewrite({
  name: 'clip-to-six',
  doc: 'Clip(x + 3, 0, 6)/6 → HardSigmoid<alpha = 1/6, beta = 1/2>(x)',
  opset: 6,
  bind: { x: value },
  pattern: (op, $) => sixth(op, clipped(op, $.x)),
  replace: ({ x }, op) => op.HardSigmoid(x, { alpha: 1 / 6, beta: 0.5 }),
});

const product = rewrite({
  name: 'product-with-clip-to-six',
  doc: 'x·Clip(x + 3, 0, 6)/6 → x·HardSigmoid<alpha = 1/6, beta = 1/2>(x)',
  opset: 6,
  bind: { x: value },
  pattern: (op, $) =>
    op.anyOf(sixth(op, op.Mul($.x, clipped(op, $.x))), op.Mul(sixth(op, $.x), clipped(op, $.x))),
  replace: ({ x }, op) => op.Mul(x, op.HardSigmoid(x, { alpha: 1 / 6, beta: 0.5 })),
});

const general = rewrite({
  name: 'clip-to-one',
  doc: 'Clip(α·x + β, 0, 1) → HardSigmoid<alpha, beta>(x)',
  opset: 6,
  needs: ['typed'],
  bind: { x: value, alpha: scalar, beta: scalar },
  pattern: (op, $) => op.Clip(op.Add(op.Mul($.x, $.alpha), $.beta), 0, 1),
  // Clip works on integers too, HardSigmoid does not.
  check: ({ x }) => ['float', 'double', 'float16'].includes(x.dtype ?? '') || no('the type is no float', x),
  replace: ({ x, alpha, beta }, op) => op.HardSigmoid(x, { alpha, beta }),
});

/** The product of HardSwish stays a Mul: executors have integer kernels for Mul, few for HardSwish. */
export const fuseHardSigmoid = rewrite.group(
  'fuse-hard-sigmoid',
  'Clip(x + 3, 0, 6)/6, Clip(α·x + β, 0, 1) → HardSigmoid(x), equal to max(0, min(1, α·x + β))',
  [product, third, general],
);
