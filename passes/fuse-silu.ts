import { rewrite, scalar, value } from '../src/index.js';

/**
 * ONNX has no such operator before opset 24; ONNX Runtime has QuickGelu(x) = x·sigmoid(α·x) in its own domain. Keep
 * it from models that are to be quantized: Sigmoid and Mul have integer kernels, QuickGelu has none.
 */
const plain = rewrite({
  name: 'silu',
  doc: 'x·Sigmoid(x) → QuickGelu<alpha = 1>(x)',
  needs: ['typed'],
  bind: { x: value },
  pattern: (op, $) => op.Mul($.x, op.Sigmoid($.x)),
  check: ({ x }) => x.dtype === 'float' || `${x.name} is ${x.dtype ?? 'of an unknown type'}, not float`,
  replace: ({ x }, op) => op.domain('com.microsoft').QuickGelu(x, { alpha: 1 }),
});

const scaled = rewrite({
  name: 'scaled-silu',
  doc: 'x·Sigmoid(α·x) → QuickGelu<alpha = α>(x)',
  needs: ['typed'],
  bind: { x: value, alpha: scalar },
  pattern: (op, $) => op.Mul($.x, op.Sigmoid(op.Mul($.x, $.alpha))),
  check: ({ x }) => x.dtype === 'float' || `${x.name} is ${x.dtype ?? 'of an unknown type'}, not float`,
  replace: ({ x, alpha }, op) => op.domain('com.microsoft').QuickGelu(x, { alpha }),
});

export const fuseSilu = rewrite.group(
  'fuse-silu',
  'x·Sigmoid(α·x) → com.microsoft.QuickGelu<alpha = α>(x), its definition; for targets with a float kernel for it',
  [plain, scaled],
);
