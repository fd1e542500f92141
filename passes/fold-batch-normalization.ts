import { constant, type Node, no, node, rewrite, type Tensor, value } from '../src/index.js';
import { batchNormalization, type ChannelAffine, hasShift, isFoldable } from './algebra/affine.js';
import { foldAfter, foldBefore, rebuilt } from './algebra/fold-weights.js';
import { asLinear, LINEAR, linearOf, seesNoPadding } from './algebra/linear.js';

const bind = { x: value, w: constant, b: constant.optional, linear: node, bn: node };
const statistics = { gamma: constant, beta: constant, mean: constant, variance: constant };
const inference = { training_mode: (mode = 0) => mode === 0, spatial: (spatial = 1) => spatial === 1 };

type Statistics = Readonly<Record<keyof typeof statistics, Tensor>> & { readonly bn: Node };
const affineOf = ({ gamma, beta, mean, variance, bn }: Statistics): ChannelAffine =>
  batchNormalization([gamma, beta, mean, variance], bn.float('epsilon', 1e-5));

const after = rewrite({
  name: 'batch-normalization-after',
  doc: 'BatchNormalization(W·x + b) → (s·W)·x + (s·b + t)',
  needs: ['typed'],
  bind: { ...bind, ...statistics },
  pattern: (op, $) =>
    $.bn(
      op.BatchNormalization(
        $.linear(op.oneOf(...LINEAR)($.x, $.w, $.b)),
        $.gamma,
        $.beta,
        $.mean,
        $.variance,
        inference,
      ),
    ),
  check: ({ linear, ...match }) => {
    const form = linearOf(linear);
    if (typeof form === 'string') return no(form, linear);
    if (form.axis !== 1) return no('its channels are along the last of more than two axes', linear);
    return isFoldable(affineOf(match), form.weight.dtype);
  },
  replace: ({ x, linear, ...match }, op) => {
    const form = asLinear(linear);
    return rebuilt(op, form, x, foldAfter(form, affineOf(match)));
  },
});

const before = rewrite({
  name: 'batch-normalization-before',
  doc: 'W·BatchNormalization(x) + b → (W·s)·x + (W·t + b)',
  needs: ['typed'],
  bind: { ...bind, ...statistics },
  pattern: (op, $) =>
    $.linear(
      op.oneOf(...LINEAR)(
        $.bn(op.BatchNormalization($.x, $.gamma, $.beta, $.mean, $.variance, inference)),
        $.w,
        $.b,
      ),
    ),
  check: ({ linear, ...match }) => {
    const form = linearOf(linear);
    if (typeof form === 'string') return no(form, linear);
    if (form.axis !== 1) return no('its channels are along the last of more than two axes', linear);
    if (match.gamma.count !== form.inputs) return no('the channels differ in number', linear);
    const foldable = isFoldable(affineOf(match), form.weight.dtype);
    if (foldable !== true || !hasShift(affineOf(match))) return foldable;
    return seesNoPadding(form);
  },
  replace: ({ x, linear, ...match }, op) => {
    const form = asLinear(linear);
    return rebuilt(op, form, x, foldBefore(form, affineOf(match)));
  },
});

/** What stands alone stays: ONNX Runtime runs one BatchNormalization faster than a Mul and an Add. */
export const foldBatchNormalization = rewrite.group(
  'fold-batch-normalization',
  'BatchNormalization after or before Conv, ConvTranspose, Gemm, MatMul → their weights and bias: with s = γ/√(σ²+ε), t = β − μ·s it is s·x + t',
  [after, before],
);
