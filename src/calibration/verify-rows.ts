/** A look through all samples before any long work: what would stop a run is found before the first. */
import { byteLengthOf, isFloat, isInteger } from '../ir/dtype.js';
import type { Tensor } from '../ir/tensor.js';
import { elementCount } from '../ir/type.js';
import type { InputSignature, StoredInput } from './dataset.js';
import { chunksOf } from './rows.js';
import { refuseNonfinite, transformRows } from './transform.js';
import { idChecker } from './vocabulary.js';

/**
 * Reads an input's samples once, where its elements may be wrong at all: floats may be NaN or infinite, integers too
 * large for the model's dtype or for the table that they are looked up in. Pictures and the like cost nothing here.
 * @throws QuantcError E_DATA_NAN, E_DATA_RANGE; errors of the source
 */
export async function verifyRows(
  { name, array, dtype, transform }: StoredInput,
  input: InputSignature,
): Promise<void> {
  const check = idChecker(input);
  const narrows = dtype === 'float16' && array.dtype !== 'float16';
  const mayOverflow =
    isInteger(dtype) && isInteger(array.dtype) && byteLengthOf(dtype, 1) <= byteLengthOf(array.dtype, 1);
  const converts = narrows || (mayOverflow && dtype !== array.dtype) || check !== undefined;
  const floats = isFloat(array.dtype) && !array.finite;
  if (!converts && !floats) return;
  const row = elementCount(array.shape.slice(1));
  for (const [start, count] of chunksOf(array, array.shape[0]!)) {
    const rows = await array.rows(start, count);
    const place = { file: array.file, value: name, start };
    if (converts) {
      const fed = transformRows(rows, dtype, transform, place);
      check?.(fed, array.file);
    } else refuseNonfinite(asNumbers(rows), row, place);
  }
}

const asNumbers = (rows: Tensor): ArrayLike<number> =>
  rows.dtype === 'double' ? (rows.data() as Float64Array) : rows.toFloat32();
