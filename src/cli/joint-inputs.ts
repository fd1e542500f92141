/** What two models take on the same data: where one leaves a size open that the other fixes, data have the fixed one. */
import type { InputSignature } from '../calibration/dataset.js';
import { QuantcError } from '../errors/error.js';
import type { Dim, TensorType, Type } from '../ir/type.js';

/**
 * Inputs of the first model as both take them. Samples are then cut into the batch of the one that fixes it, and sizes
 * that neither could be fed are found before anything runs.
 * @throws QuantcError E_COMPARE_INPUT where an input is missing in one of them, or its type, rank or a size differs
 */
export function jointInputs(
  first: readonly InputSignature[],
  second: readonly InputSignature[],
): InputSignature[] {
  const others = new Map(second.map((input) => [input.name, input]));
  for (const { name, constant } of [...second, ...first]) {
    const [mine, theirs] = [first.some((each) => each.name === name), others.has(name)];
    if (constant === undefined && !(mine && theirs))
      throw wrong(name, `the ${mine ? 'second' : 'first'} model has no such input`);
  }
  const sizes = new Map<string, number>();
  const joint = first.map((input) => {
    const other = others.get(input.name);
    return { input, type: other ? jointType(input.name, input.type, other.type, sizes) : input.type };
  });
  // A dimension that several inputs share is as large in all of them.
  return joint.map(({ input: { name, constant, uses }, type }) => ({
    ...{ name, constant, uses: uses ?? [] },
    type: type?.kind === 'tensor' ? withSizes(type, sizes) : type,
  }));
}

function jointType(
  name: string,
  mine: Type | undefined,
  theirs: Type | undefined,
  sizes: Map<string, number>,
): Type | undefined {
  if (mine?.kind !== 'tensor' || theirs?.kind !== 'tensor') return mine;
  if (mine.dtype !== theirs.dtype)
    throw wrong(name, `it is ${mine.dtype} in the first model and ${theirs.dtype} in the second`);
  const [shape, other] = [mine.shape, theirs.shape];
  if (shape === undefined || other === undefined) return shape ? mine : theirs;
  const differ = wrong(
    name,
    `it is [${shape.map(dimText)}] in the first model and [${other.map(dimText)}] in the second`,
  );
  if (shape.length !== other.length) throw differ;
  const dims = shape.map((dim, axis): Dim => {
    const size = other[axis];
    if (typeof size !== 'number') return dim;
    if (typeof dim === 'number' && dim !== size) throw differ;
    if (typeof dim === 'string' && dim !== '') {
      if ((sizes.get(dim) ?? size) !== size) throw differ;
      sizes.set(dim, size);
    }
    return size;
  });
  return { ...mine, shape: dims };
}

const withSizes = (type: TensorType, sizes: ReadonlyMap<string, number>): TensorType => ({
  ...type,
  ...(type.shape && {
    shape: type.shape.map((dim) => (typeof dim === 'string' ? (sizes.get(dim) ?? dim) : dim)),
  }),
});

const dimText = (dim: Dim): string => String(dim ?? '?');

const wrong = (name: string, why: string): QuantcError =>
  new QuantcError('E_COMPARE_INPUT', `input "${name}": ${why}`, {
    place: { value: name },
    hint: 'Two models are compared on the same feeds. A model of the wanted sizes can be compiled with --dim.',
  });
