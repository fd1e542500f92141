import { constantNumbers, type Dim, isStatic, type Node, type Value } from '../../src/index.js';

/** A reduction of opset 18 or later: its axes are an input. */
export interface Reduced {
  readonly x: Value;
  readonly axes?: Value | undefined;
  readonly node: Node;
}

/** Axes of a reduction as numbers from the front; undefined where they are not told. */
export function axesOf({ x, axes, node }: Reduced): number[] | undefined {
  const rank = x.shape?.length;
  if (rank === undefined) return undefined;
  const told = axes ? constantNumbers(axes) : [];
  if (told === undefined) return undefined;
  if (told.length === 0)
    return node.int('noop_with_empty_axes', 0) === 1
      ? undefined
      : Array.from({ length: rank }, (_, axis) => axis);
  return told.map((axis) => (axis < 0 ? axis + rank : axis));
}

/** Elements that go into one of the results; undefined where the sizes are not known. */
export function countOf(match: Reduced): number | undefined {
  const axes = axesOf(match);
  const sizes: readonly Dim[] | undefined = axes?.map((axis) => match.x.shape![axis]!);
  return isStatic(sizes) ? sizes.reduce((product, size) => product * size, 1) : undefined;
}
