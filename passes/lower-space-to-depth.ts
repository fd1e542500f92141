import { no, node, readsFunctionAttributes, rewrite, Tensor, value } from '../src/index.js';

/**
 * Each b × b tile of a picture becomes b² channels, the tile's position running slower than the old channel:
 * [N, C, H, W] → [N, C, H/b, b, W/b, b] → [N, b, b, C, H/b, W/b] → [N, b²·C, H/b, W/b]. A Reshape can leave one size
 * open, so one of H and W must be known.
 */
export const lowerSpaceToDepth = rewrite({
  name: 'lower-space-to-depth',
  doc: 'SpaceToDepth → Reshape, Transpose, Reshape',
  needs: ['typed'],
  bind: { x: value, node },
  pattern: (op, $) => $.node(op.SpaceToDepth($.x)),
  check: ({ x, node }) => {
    if (readsFunctionAttributes(node)) return no('the caller decides its attributes', node);
    const [, channels, height, width] = x.shape ?? [];
    if (typeof channels !== 'number') return no(`the number of channels of ${x.name} is unknown`, x);
    return (
      typeof height === 'number' ||
      typeof width === 'number' ||
      no(`height and width of ${x.name} are unknown`, x)
    );
  },
  replace: ({ x, node }, op) => {
    const block = node.int('blocksize', 1);
    const [, channels, height, width] = x.shape! as readonly unknown[] as number[];
    const rows = typeof height === 'number' ? height / block : -1;
    const columns = typeof width === 'number' ? width / block : -1;
    const tiles = op.Reshape(x, Tensor.ints([0, channels!, rows, block, columns, block]));
    const moved = op.Transpose(tiles, { perm: [0, 3, 5, 1, 2, 4] });
    return op.Reshape(moved, Tensor.ints([0, channels! * block * block, rows, columns]));
  },
});
