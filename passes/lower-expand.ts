import { constantNumbers, isStatic, no, node, rewrite, Tensor, value } from '../src/index.js';

/** The shape that Expand gives: broadcasting goes both ways. Undefined where sizes are not known. */
function expanded(shape: readonly number[], target: readonly number[]): number[] {
  const rank = Math.max(shape.length, target.length);
  return Array.from({ length: rank }, (_, axis) => {
    const [own, wanted] = [shape, target].map((each) => each[axis - rank + each.length] ?? 1) as [
      number,
      number,
    ];
    return own === 1 ? wanted : own;
  });
}

export const lowerExpand = rewrite({
  name: 'lower-expand',
  doc: 'Expand(x, shape) → Tile(x, how often)',
  needs: ['typed'],
  opset: 13,
  bind: { x: value, shape: value, node },
  pattern: (op, $) => $.node(op.Expand($.x, $.shape)),
  check: ({ x, shape, node }) => {
    if (!isStatic(x.shape) || x.shape.includes(0)) return no(`the shape of ${x.name} is not known`, x);
    return constantNumbers(shape) !== undefined || no('its target is not constant', node);
  },
  replace: ({ x, shape }, op) => {
    const own = x.shape as readonly number[];
    const result = expanded(own, constantNumbers(shape)!);
    const missing = Array.from({ length: result.length - own.length }, () => 1);
    const full = [...missing, ...own];
    const wide = missing.length > 0 ? op.Reshape(x, Tensor.ints(full)) : x;
    return op.Tile(wide, Tensor.ints(result.map((size, axis) => size / full[axis]!)));
  },
});
