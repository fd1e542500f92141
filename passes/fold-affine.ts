import {
  constant,
  constantOf,
  type Node,
  no,
  node,
  rewrite,
  type Tensor,
  type Value,
  type Verdict,
  value,
} from '../src/index.js';
import { arithmetic, type ChannelAffine, hasShift, isFoldable, perChannel } from './algebra/affine.js';
import { foldAfter, foldBefore, rebuilt } from './algebra/fold-weights.js';
import { asLinear, LINEAR, type Linear, linearOf, ownsWeights, seesNoPadding } from './algebra/linear.js';

const bind = { x: value, w: constant, b: constant.optional, c: constant, linear: node, arithmetic: node };

/** The arithmetic node as one scale and shift a channel, or why it is none. */
function affineOf(node: Node, c: Tensor, { rank, axis }: Linear, channels: number): ChannelAffine | string {
  const plain = perChannel(c, rank, axis, channels);
  if (plain !== true) return plain;
  const first = constantOf(node.inputs[0]) === c;
  return arithmetic(node.opType, c, first, channels) ?? `${node.label} divides a constant by the value`;
}

/** MatMul has no bias: a shift would only become another Add. */
function judge(form: Linear, affine: ChannelAffine): Verdict {
  const foldable = isFoldable(affine, form.weight.dtype);
  if (foldable !== true) return foldable;
  const owned = ownsWeights(form, affine);
  if (owned !== true || form.node.opType !== 'MatMul' || !hasShift(affine)) return owned;
  return `${form.node.label} has no bias that could take a shift`;
}

const after = rewrite({
  name: 'affine-after',
  doc: '(W·x + b)·s + t → (s·W)·x + (s·b + t)',
  needs: ['typed'],
  bind,
  pattern: (op, $) => {
    const linear = $.linear(op.oneOf(...LINEAR)($.x, $.w, $.b));
    return $.arithmetic(op.anyOf(op.oneOf('Add', 'Mul', 'Sub', 'Div')(linear, $.c), op.Sub($.c, linear)));
  },
  check: ({ linear, arithmetic, c }) => {
    const form = linearOf(linear);
    if (typeof form === 'string') return no(form, linear);
    const affine = affineOf(arithmetic, c, form, form.outputs);
    return typeof affine === 'string' ? affine : judge(form, affine);
  },
  replace: ({ x, linear, arithmetic, c }, op) => {
    const form = asLinear(linear);
    return rebuilt(
      op,
      form,
      x,
      foldAfter(form, affineOf(arithmetic, c, form, form.outputs) as ChannelAffine),
    );
  },
});

/** Where the constant repeats a value over channels that it did not have, folding would change its shape. */
function keepsShape(x: Value, c: Tensor, form: Linear): true | string {
  if (x.shape?.length !== form.rank) return `the rank of ${x.name} is not known to be ${form.rank}`;
  return c.count === 1 || x.shape[form.axis] === form.inputs || `${x.name} may be repeated over the channels`;
}

const before = rewrite({
  name: 'affine-before',
  doc: 'W·(s·x + t) + b → (W·s)·x + (W·t + b)',
  needs: ['typed'],
  bind,
  pattern: (op, $) =>
    $.linear(
      op.oneOf(...LINEAR)(
        $.arithmetic(op.anyOf(op.oneOf('Add', 'Mul', 'Sub', 'Div')($.x, $.c), op.Sub($.c, $.x))),
        $.w,
        $.b,
      ),
    ),
  check: ({ x, linear, arithmetic, c }) => {
    const form = linearOf(linear);
    if (typeof form === 'string') return no(form, linear);
    const kept = keepsShape(x, c, form);
    if (kept !== true) return kept;
    const affine = affineOf(arithmetic, c, form, form.inputs);
    if (typeof affine === 'string') return affine;
    const verdict = judge(form, affine);
    return verdict === true && hasShift(affine) ? seesNoPadding(form) : verdict;
  },
  replace: ({ x, linear, arithmetic, c }, op) => {
    const form = asLinear(linear);
    return rebuilt(
      op,
      form,
      x,
      foldBefore(form, affineOf(arithmetic, c, form, form.inputs) as ChannelAffine),
    );
  },
});

export const foldAffine = rewrite.group(
  'fold-affine',
  'Add, Sub, Mul, Div by one constant a channel after or before Conv, ConvTranspose, Gemm, MatMul → their weights and bias: s·(Wx + b) + t = (sW)x + (sb + t), W(s·x + t) + b = (Ws)x + (Wt + b)',
  [after, before],
);
