import { constantNumbers, type Node, type Value } from '../../src/index.js';

/** Axes that a Reduce… node takes away, from attribute or constant input, counted from the end; undefined: unknown. */
export function axesFromEnd(node: Node, rank: number | undefined): number[] | undefined {
  const axes = node.inputs[1] === undefined ? node.ints('axes') : constantNumbers(node.inputs[1]);
  if (axes === undefined || (rank === undefined && axes.some((axis) => axis >= 0))) return undefined;
  return axes.map((axis) => (axis >= 0 ? axis - rank! : axis)).sort((a, b) => b - a);
}

/**
 * The first of the trailing axes that all these nodes reduce, keeping their dimensions; a reason when they differ or
 * are not the last ones.
 */
export function trailingAxis(x: Value, nodes: readonly Node[]): number | string {
  const all = nodes.map((node) => axesFromEnd(node, x.shape?.length));
  for (const [at, axes] of all.entries()) {
    const { label } = nodes[at]!;
    if (axes === undefined || axes.length === 0) return `the axes of ${label} are not known`;
    if (nodes[at]!.int('keepdims', 1) !== 1) return `${label} drops its axes`;
    if (axes.some((axis, i) => axis !== -1 - i))
      return `${label} reduces axes ${axes} from the end, not the last ones`;
    if (axes.length !== all[0]!.length) return `${label} and ${nodes[0]!.label} reduce different axes`;
  }
  return -all[0]!.length;
}
