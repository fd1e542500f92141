import { no, node, readsFunctionAttributes, rewrite, scalar, Tensor, value } from '../src/index.js';

/**
 * An index i selects the place j with i = j, or with i = j − depth where i is negative; any other selects none. So each
 * place j is on where the index, lifted by depth where negative, equals j. Indices are compared as int32: those that are
 * int64 are clipped first to [−depth − 1, depth], which holds all that select and keeps the others missing.
 */
export const lowerOneHot = rewrite({
  name: 'lower-one-hot',
  doc: 'OneHot(i, depth, [off, on]) → Where(i = [0 … depth − 1], on, off)',
  needs: ['typed'],
  opset: 13,
  bind: { indices: value, depth: scalar, values: value, hot: node },
  pattern: (op, $) => $.hot(op.OneHot($.indices, $.depth, $.values)),
  check: ({ indices, depth, hot }) => {
    if (readsFunctionAttributes(hot)) return no('the caller decides its attributes', hot);
    if (indices.dtype !== 'int32' && indices.dtype !== 'int64')
      return no(`its indices are ${indices.dtype ?? 'of an unknown type'}`, indices);
    if (indices.shape === undefined) return no(`the rank of ${indices.name} is unknown`, indices);
    return (Number.isInteger(depth) && depth > 0 && depth < 2 ** 20) || no(`the depth is ${depth}`, hot);
  },
  replace: ({ indices, depth, values, hot }, op) => {
    const rank = indices.shape!.length;
    const axis = hot.int('axis', -1);
    const at = axis < 0 ? axis + rank + 1 : axis;
    const narrow = indices.dtype === 'int32' ? indices : op.Cast(bounded(), { to: 6 });
    const lifted = op.Where(
      op.Less(narrow, op.scalar(0, 'int32')),
      op.Add(narrow, op.scalar(depth, 'int32')),
      narrow,
    );
    const shape = Array.from({ length: rank + 1 }, (_, each) => (each === at ? depth : 1));
    const places = op.constant(
      'int32',
      shape,
      Int32Array.from({ length: depth }, (_, j) => j),
    );
    const same = op.Equal(op.Unsqueeze(lifted, Tensor.ints([at])), places);
    const pick = (index: number) => op.Gather(values, op.scalar(index, 'int64'), { axis: 0 });
    return op.Where(same, pick(1), pick(0));

    /** Indices within what can select or miss by one, which int32 holds. */
    function bounded() {
      return op.Clip(indices, op.scalar(-depth - 1, 'int64'), op.scalar(depth, 'int64'));
    }
  },
});
