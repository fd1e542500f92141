import { no, node, rewrite, value } from '../src/index.js';

/** Orders of three axes that bring the batch from the middle to the front. */
const FROM_MIDDLE = [
  [1, 0, 2],
  [1, 2, 0],
];

/**
 * A product with a matrix treats all rows alike, so that rows may change places behind it:
 *   Transpose(x, [1, 0, 2]) · W = Transpose(x · W, [1, 0, 2])
 * and [1, 2, 0] is [2, 1, 0] followed by [1, 0, 2]. ONNX Runtime 1.30 would take the Transpose into the product, and on
 * the CPU its session crashes where both are float16 and W is a constant.
 */
export const moveBatchTransposes = rewrite({
  name: 'move-batch-transposes',
  doc: 'MatMul(Transpose(x), W) of float16, the batch coming from the middle → Transpose(MatMul(x, W))',
  needs: ['typed'],
  bind: { x: value, w: value, transpose: node, product: node },
  pattern: (op, $) => $.product(op.MatMul($.transpose(op.Transpose($.x).shared()), $.w)),
  check: ({ w, transpose, product }) => {
    if (w.dtype !== 'float16' || !w.isConstant || w.shape?.length !== 2)
      return no(`${w.name} is no constant matrix of float16`, product);
    const perm = transpose.ints('perm', []);
    return (
      FROM_MIDDLE.some((each) => each.join() === perm.join()) ||
      no('the batch does not come from the middle', transpose)
    );
  },
  replace: ({ x, w, transpose, product }, op) => {
    const [batch, rows, last] = transpose.ints('perm', []) as [number, number, number];
    const inner = last === 2 ? x : op.Transpose(x, { perm: [rows, batch, last] });
    return op.Transpose(op.like(product).MatMul(inner, w), { perm: [1, 0, 2] });
  },
});
