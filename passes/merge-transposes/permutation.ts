/** Orders of axes, as Transpose spells them: axis `i` of the result is axis `perm[i]` of the input. */
import { dtypeFacts, elementCount, type Node, readsFunctionAttributes, Tensor } from '../../src/index.js';

export type Permutation = readonly number[];

/** Constants up to this size are moved at once, larger ones when the model is written. */
const AT_ONCE = 1 << 16;

/** `Transpose<then>(Transpose<first>(x)) = Transpose<compose(first, then)>(x)`. */
export const compose = (first: Permutation, then: Permutation): Permutation =>
  then.map((axis) => first[axis]!);

export const invert = (perm: Permutation): Permutation => {
  const inverse: number[] = [];
  for (const [index, axis] of perm.entries()) inverse[axis] = index;
  return inverse;
};

export const isIdentity = (perm: Permutation): boolean => perm.every((axis, index) => axis === index);

export const samePermutation = (a: Permutation, b: Permutation): boolean =>
  a.length === b.length && a.every((axis, index) => axis === b[index]);

/** Puts a list with an entry an axis into the order that `perm` gives. */
export const permuted = <T>(list: readonly T[], perm: Permutation): T[] => perm.map((axis) => list[axis]!);

/** The permutation of a Transpose (axes reversed where none is said); undefined for other nodes and unknown ranks. */
export function permutationOf(node: Node | undefined): Permutation | undefined {
  if (!node?.is('Transpose') || readsFunctionAttributes(node)) return undefined;
  const rank = node.inputs[0]?.shape?.length ?? node.outputs[0]?.shape?.length;
  return (
    node.ints('perm') ??
    (rank === undefined ? undefined : Array.from({ length: rank }, (_, i) => rank - 1 - i))
  );
}

/** True when the axes longer than 1 stay in order, so that the bytes stay where they are. */
export const keepsBytes = (shape: readonly number[], perm: Permutation): boolean =>
  perm
    .filter((axis) => shape[axis] !== 1)
    .every((axis, index, long) => index === 0 || axis > long[index - 1]!);

/** The transposed constant; undefined for dtypes whose elements are no whole bytes. */
export function transposedTensor(tensor: Tensor, perm: Permutation): Tensor | undefined {
  const shape = permuted(tensor.shape, perm);
  if (keepsBytes(tensor.shape, perm)) return tensor.with({ shape });
  const { bits } = dtypeFacts(tensor.dtype);
  if (bits < 8) return undefined;
  const move = (from: Tensor): Uint8Array => transposedBytes(from.bytes(), from.shape, perm, bits / 8);
  const options = { name: tensor.name };
  return tensor.byteLength <= AT_ONCE
    ? Tensor.of(tensor.dtype, shape, move(tensor), options)
    : Tensor.derive(tensor.dtype, shape, [tensor], ([from]) => move(from!), options);
}

function transposedBytes(
  bytes: Uint8Array,
  shape: readonly number[],
  perm: Permutation,
  width: number,
): Uint8Array {
  const strides = shape.map((_, axis) => elementCount(shape.slice(axis + 1)) * width);
  const sizes = permuted(shape, perm);
  const steps = permuted(strides, perm);
  const result = new Uint8Array(bytes.byteLength);
  const index = sizes.map(() => 0);
  let from = 0;
  for (let to = 0; to < result.length; to += width) {
    for (let i = 0; i < width; i++) result[to + i] = bytes[from + i]!;
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      from += steps[axis]!;
      if (++index[axis]! < sizes[axis]!) break;
      from -= steps[axis]! * sizes[axis]!;
      index[axis] = 0;
    }
  }
  return result;
}
