import { type DimSizes, parseDim } from '../compile/dims.js';
import { type FixedInputs, parseFixed } from '../compile/fixed-inputs.js';
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
