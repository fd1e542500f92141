import { definePlugin, no, rewrite, Tensor, value } from 'quantc';

/**
 * The mean over a picture, as one node: GlobalAveragePool gives [N, C, 1, 1], Flatten makes that [N, C], and so does
 * ReduceMean over the axes 2 and 3 that keeps neither. Sums may be taken in another order: equal to rounding.
 */
export const poolToMean = rewrite({
  name: 'pool-to-mean',
  doc: 'Flatten(GlobalAveragePool(x)) → ReduceMean(x) over height and width',
  needs: ['typed'],
  opset: 18,
  bind: { x: value },
  pattern: (op, $) => op.Flatten(op.GlobalAveragePool($.x)),
  check: ({ x }, { root }) => {
    if (x.shape?.length !== 4) return no(`${x.name} is no picture: its shape is ${x.shape ?? 'unknown'}`, x);
    return root.int('axis', 1) === 1 || no('it is flattened along another axis', root);
  },
  replace: ({ x }, op) => op.ReduceMean(x, Tensor.ints([2, 3]), { keepdims: 0 }),
});

export default definePlugin({
  name: 'pool-to-mean-plugin',
  passes: [{ pass: poolToMean, after: 'fold-affine' }],
});
