/** Real constants, read exactly and rounded once: what folding one constant into another needs. */
import { Float16Array } from '@petamoriken/float16';
import type { DType } from './dtype.js';
import type { Tensor } from './tensor.js';

/** The dtypes that constants are folded in. */
export type RealDType = 'float' | 'double' | 'float16';
export const isReal = (dtype: DType | undefined): dtype is RealDType =>
  dtype === 'float' || dtype === 'double' || dtype === 'float16';

/** Numbers that can be written by index; each is rounded to the array's own precision as it is stored. */
export type RealArray = ArrayBufferView & { readonly length: number; [index: number]: number };

/** The elements of a float, double or float16 tensor, exactly. The result may be a view of the tensor's own bytes. */
export const realsOf = (tensor: Tensor): Readonly<Float32Array | Float64Array> =>
  tensor.dtype === 'double' ? (tensor.data() as Float64Array) : tensor.toFloat32();

/** An array of zeros that stores `dtype`. */
export function realArray(dtype: RealDType, length: number): RealArray {
  if (dtype === 'double') return new Float64Array(length);
  return dtype === 'float' ? new Float32Array(length) : (new Float16Array(length) as unknown as RealArray);
}
