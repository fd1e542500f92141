import { no, node, rewrite, Tensor, value } from '../src/index.js';
import { floating } from './algebra/floating.js';
import { axesOf, countOf } from './algebra/reduced.js';

/** For executors that have means and no sums. */
export const lowerReduceSum = rewrite({
  name: 'lower-reduce-sum',
  doc: 'ReduceSum(x) → n·ReduceMean(x), n the elements that go into one sum',
  needs: ['typed'],
  opset: 18,
  bind: { x: value, axes: value.optional, node },
  pattern: (op, $) => $.node(op.ReduceSum($.x, $.axes)),
  check: (match) => {
    const count = countOf(match);
    if (count === undefined || count === 0) return no('how many elements it adds is not known', match.node);
    return floating(match);
  },
  replace: (match, op) => {
    const mean = op.ReduceMean(match.x, Tensor.ints(axesOf(match)!), {
      keepdims: match.node.int('keepdims', 1),
    });
    return op.Mul(mean, op.scalar(countOf(match)!, match.x.dtype!));
  },
});
