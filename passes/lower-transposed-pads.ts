import {
  isStatic,
  type Node,
  no,
  node,
  readsFunctionAttributes,
  rewrite,
  Tensor,
  value,
} from '../src/index.js';

/** What is cut off at the beginning and at the end of each axis, less what is added there; undefined where not plain. */
function cuts(
  convolution: Node,
  axes: number,
): { readonly before: number[]; readonly behind: number[] } | undefined {
  const pads = convolution.ints('pads') ?? Array.from({ length: 2 * axes }, () => 0);
  const added = convolution.ints('output_padding') ?? Array.from({ length: axes }, () => 0);
  if (convolution.string('auto_pad', 'NOTSET') !== 'NOTSET' || convolution.attributes.has('output_shape'))
    return undefined;
  const behind = added.map((each, axis) => pads[axes + axis]! - each);
  return behind.some((each) => each < 0) ? undefined : { before: pads.slice(0, axes), behind };
}

const isEven = (convolution: Node, axes: number): boolean => {
  const pads = convolution.ints('pads') ?? [];
  const added = convolution.ints('output_padding') ?? [];
  return (
    pads.slice(0, axes).every((each, axis) => each === pads[axes + axis]) && added.every((each) => each === 0)
  );
};

/**
 * Pads of a transposed convolution are rows and columns of its result that are cut off; `output_padding` are some that
 * are left on at the end. For executors that cut the same on both sides, or nothing.
 */
export const lowerTransposedPads = rewrite({
  name: 'lower-transposed-pads',
  doc: 'ConvTranspose with uneven pads or output_padding → without any, and a Slice of its result',
  needs: ['typed'],
  opset: 13,
  bind: { x: value, w: value, b: value.optional, node },
  pattern: (op, $) => $.node(op.ConvTranspose($.x, $.w, $.b)),
  check: ({ x, node }) => {
    if (readsFunctionAttributes(node)) return no('the caller decides its attributes', node);
    const sizes = node.outputs[0]!.shape?.slice(2);
    if (x.shape === undefined || !isStatic(sizes)) return no('its sizes are not known', node);
    if (isEven(node, sizes.length)) return no('its pads are even', node);
    return cuts(node, sizes.length) !== undefined || no('more is added behind than cut off', node);
  },
  replace: ({ x, w, b, node }, op) => {
    const sizes = node.outputs[0]!.shape!.slice(2) as readonly number[];
    const { before } = cuts(node, sizes.length)!;
    const full = op.like(node).ConvTranspose(x, w, b, { pads: undefined, output_padding: undefined });
    return op.Slice(
      full,
      Tensor.ints(before),
      Tensor.ints(before.map((start, axis) => start + sizes[axis]!)),
      Tensor.ints(before.map((_, axis) => axis + 2)),
      Tensor.ints(before.map(() => 1)),
    );
  },
});
