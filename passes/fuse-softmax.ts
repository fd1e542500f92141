import { constant, node, rewrite, value } from '../src/index.js';
import { axesFromEnd } from './algebra/reduction.js';

/**
 * Only with the maximum subtracted, as Softmax does it: without, what overflows in the decomposition would not
 * overflow in Softmax.
 */
export const fuseSoftmax = rewrite({
  name: 'fuse-softmax',
  doc: 'e/ReduceSum(e) with e = Exp(x − ReduceMax(x)) along one axis → Softmax(x), its definition',
  needs: ['typed'],
  opset: 13,
  bind: { x: value, axes: constant.optional, axesOfSum: constant.optional, max: node, sum: node },
  pattern: (op, $) => {
    const e = op.Exp(op.Sub($.x, $.max(op.ReduceMax($.x, $.axes))));
    const sum = $.sum(op.ReduceSum(e, $.axesOfSum));
    return op.anyOf(op.Div(e, sum), op.Mul(e, op.Reciprocal(sum)));
  },
  check: ({ x, max, sum }) => {
    const [one, other] = [max, sum].map((each) => axesFromEnd(each, x.shape?.length));
    if (one?.length !== 1 || other?.length !== 1 || one[0] !== other[0]) return 'not one and the same axis';
    return (max.int('keepdims', 1) === 1 && sum.int('keepdims', 1) === 1) || 'the axis is dropped';
  },
  replace: ({ x, max }, op) => op.Softmax(x, { axis: axesFromEnd(max, x.shape?.length)![0]! }),
});
