import { type DimSizes, parseDim } from '../compile/dims.js';
import { type FixedInputs, parseFixed } from '../compile/fixed-inputs.js';
import { type NamedShapes, parseShape } from '../compile/named-shapes.js';
import { QuantcError } from '../errors/error.js';

/** Collects the values of an option that may be given many times. */
export const collect = (value: string, previous: readonly string[] = []): string[] => [...previous, value];

/** Collects names that may be given with commas, or by repeating the option, or both. */
export const collectNames = (value: string, previous: readonly string[] = []): string[] => [
  ...previous,
  ...value
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== ''),
];

/** Collects sizes of dimensions. @throws QuantcError E_DIM_FORM, E_DIM_SIZE, E_DIM_CONFLICT for a name with two sizes */
export function collectDims(value: string, previous: DimSizes = {}): DimSizes {
  const [name, size] = parseDim(value);
  const before = Object.hasOwn(previous, name) ? previous[name] : undefined;
  if (before !== undefined && before !== size)
    throw new QuantcError('E_DIM_CONFLICT', `dimension "${name}" cannot be both ${before} and ${size}`, {
      kind: 'usage',
    });
  return { ...previous, [name]: size };
}

/** Collects values of inputs; the last one of a name counts. @throws QuantcError E_FIX_FORM */
export function collectFixed(value: string, previous: FixedInputs = {}): FixedInputs {
  const [name, numbers] = parseFixed(value);
  return { ...previous, [name]: numbers };
}

/** Collects named shapes. @throws QuantcError E_SHAPES_FORM, E_SHAPES_NAME for a name that was given before */
export function collectShapes(value: string, previous: NamedShapes = {}): NamedShapes {
  const [name, sizes] = parseShape(value);
  if (Object.hasOwn(previous, name))
    throw new QuantcError('E_SHAPES_NAME', `there are two shapes "${name}"`, { kind: 'usage' });
  return { ...previous, [name]: sizes };
}
