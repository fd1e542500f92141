/**
 * The two orders of dimensions: as ONNX has them (`plain`), and with the channels last (`last`), as TensorFlow Lite's
 * spatial operators want them: [N, C, H, W] becomes [N, H, W, C].
 */
export type Layout = 'plain' | 'last';

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** For each physical dimension the ONNX one that lies there. */
export const orderOf = (layout: Layout, rank: number): number[] =>
  layout === 'plain' || rank < 3 ? range(rank) : [0, ...range(rank).slice(2), 1];

/** A shape as it lies in a layout. */
export const laid = (shape: readonly number[], layout: Layout): number[] =>
  orderOf(layout, shape.length).map((axis) => shape[axis]!);

/** Where an ONNX axis (perhaps counted from behind) lies in a layout. */
export const axisIn = (axis: number, layout: Layout, rank: number): number =>
  orderOf(layout, rank).indexOf(axis < 0 ? axis + rank : axis);

/** Which dimension of `from` each dimension of `to` takes, to get from one order to the other. */
export const permutation = (from: readonly number[], to: readonly number[]): number[] =>
  to.map((axis) => from.indexOf(axis));

/** A permutation moves no element where it keeps the order of all dimensions that are not 1. */
export function movesNothing(shape: readonly number[], perm: readonly number[]): boolean {
  const wide = perm.filter((axis) => shape[axis] !== 1);
  return wide.every((axis, index) => index === 0 || axis > wide[index - 1]!);
}

/** The elements of a dense array, of so many bytes each, with dimensions permuted: `perm[i]` says which comes to be dimension i. */
export function permuted(
  bytes: Uint8Array,
  width: number,
  shape: readonly number[],
  perm: readonly number[],
): Uint8Array {
  if (movesNothing(shape, perm)) return bytes;
  const strides = shape.map((_, axis) =>
    shape.slice(axis + 1).reduce((product, dim) => product * dim, width),
  );
  const to = perm.map((axis) => shape[axis]!);
  const steps = perm.map((axis) => strides[axis]!);
  const result = new Uint8Array(bytes.length);
  const at = to.map(() => 0);
  let source = 0;
  for (let target = 0; target < bytes.length; target += width) {
    for (let byte = 0; byte < width; byte++) result[target + byte] = bytes[source + byte]!;
    for (let axis = to.length - 1; axis >= 0; axis--) {
      source += steps[axis]!;
      if (++at[axis]! < to[axis]!) break;
      source -= steps[axis]! * to[axis]!;
      at[axis] = 0;
    }
  }
  return result;
}
