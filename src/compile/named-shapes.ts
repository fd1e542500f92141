/** Several shapes of one model, by names. */
import { QuantcError } from '../errors/error.js';
import { type DimSizes, parseDim } from './dims.js';
import { isShapeName } from './shape-name.js';

/** Sizes of dimensions by the name of a shape, which the names of files end in. */
export type NamedShapes = Readonly<Record<string, DimSizes>>;

const usage = (code: string, message: string, hint?: string): QuantcError =>
  new QuantcError(code, message, { kind: 'usage', hint });

/**
 * `long:seq=256,batch=1` → the shape's name and its sizes.
 * @throws QuantcError E_SHAPES_FORM, and those of `parseDim`
 */
export function parseShape(text: string): [name: string, sizes: DimSizes] {
  const at = text.indexOf(':');
  const name = text.slice(0, at);
  if (at < 1 || !isShapeName(name))
    throw usage(
      'E_SHAPES_FORM',
      `"${text}" is not <name>:<dimension>=<size>`,
      'As in --shapes long:seq=256.',
    );
  const sizes: Record<string, number> = {};
  for (const part of text.slice(at + 1).split(',')) {
    const [dim, size] = parseDim(part);
    if (Object.hasOwn(sizes, dim) && sizes[dim] !== size)
      throw usage(
        'E_DIM_CONFLICT',
        `dimension "${dim}" of shape "${name}" cannot be both ${sizes[dim]} and ${size}`,
      );
    sizes[dim] = size;
  }
  return [name, sizes];
}
