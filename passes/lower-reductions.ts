import {
  no,
  node,
  type ReplacementBuilder,
  type ReplacementInput,
  rewrite,
  Tensor,
  type Value,
  value,
} from '../src/index.js';
import { floating } from './algebra/floating.js';
import { axesOf, type Reduced } from './algebra/reduced.js';

const sum = (op: ReplacementBuilder, x: ReplacementInput, { axes, node }: Reduced) =>
  op.ReduceSum(x, axes, {
    keepdims: node.int('keepdims', 1),
    noop_with_empty_axes: node.attributes.has('noop_with_empty_axes')
      ? node.int('noop_with_empty_axes', 0)
      : undefined,
  });

/** One of the reductions that are sums of something, as that sum. */
const summed = (
  opType: string,
  doc: string,
  before: (op: ReplacementBuilder, x: Value) => ReplacementInput,
  after: (op: ReplacementBuilder, total: ReplacementInput) => ReplacementInput = (_, total) => total,
) =>
  rewrite({
    name: opType,
    doc,
    needs: ['typed'],
    opset: 18,
    bind: { x: value, axes: value.optional, node },
    pattern: (op, $) => $.node(op.oneOf(opType)($.x, $.axes)),
    check: floating,
    replace: (match, op) => after(op, sum(op, before(op, match.x), match)),
  });

const squares = summed('ReduceSumSquare', 'Σx² by a product', (op, x) => op.Mul(x, x));
const magnitudes = summed('ReduceL1', 'Σ|x|', (op, x) => op.Abs(x));
const lengths = summed(
  'ReduceL2',
  '√Σx²',
  (op, x) => op.Mul(x, x),
  (op, total) => op.Sqrt(total),
);
const logarithms = summed(
  'ReduceLogSum',
  'log Σx',
  (_, x) => x,
  (op, total) => op.Log(total),
);

/** The largest element is taken off first, as ONNX Runtime does, so that no exponential overflows. */
const exponentials = rewrite({
  name: 'ReduceLogSumExp',
  doc: 'log Σ exp x → m + log Σ exp(x − m), m = max x',
  needs: ['typed'],
  opset: 18,
  bind: { x: value, axes: value.optional, node },
  pattern: (op, $) => $.node(op.ReduceLogSumExp($.x, $.axes)),
  check: (match) => {
    if (match.node.int('keepdims', 1) !== 1) return no('it drops its axes', match.node);
    return axesOf(match) === undefined ? no('its axes are not constant', match.node) : floating(match);
  },
  replace: (match, op) => {
    const axes = Tensor.ints(axesOf(match)!);
    const largest = op.ReduceMax(match.x, axes, { keepdims: 1 });
    const rest = op.ReduceSum(op.Exp(op.Sub(match.x, largest)), axes, { keepdims: 1 });
    return op.Add(largest, op.Log(rest));
  },
});

export const lowerReductions = rewrite.group(
  'lower-reductions',
  'ReduceSumSquare, ReduceL1, ReduceL2, ReduceLogSum, ReduceLogSumExp → ReduceSum of something',
  [squares, magnitudes, lengths, logarithms, exponentials],
);
