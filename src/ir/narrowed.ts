/** A float constant in 16 bits, as data. */
import { Float16Array } from '@petamoriken/float16';
import { Tensor, type TensorJob } from './tensor.js';

/** The name of the job that such tensors carry. */
export const NARROW = 'narrow';

/** A dtype of 16-bit floats. */
export type HalfType = 'float16' | 'bfloat16';

/** What a tensor's job narrows to, or undefined for any other job. */
export const narrowJob = (job: TensorJob | undefined): HalfType | undefined =>
  job?.kernel === NARROW ? (job.parameters['dtype'] as HalfType) : undefined;

/** The tensor rounded to 16 bits, half to even, lazily. What is too large becomes infinite, NaN a quiet one. */
export function narrowed(tensor: Tensor, dtype: HalfType): Tensor {
  return Tensor.derive(dtype, tensor.shape, [tensor], ([from]) => narrow(from!.toFloat32(), dtype), {
    name: `${tensor.name}_${dtype === 'float16' ? 'half' : 'bfloat'}`,
    job: { kernel: NARROW, parameters: { dtype } },
  });
}

/** The reference computation. */
export function narrow(values: Float32Array, dtype: HalfType): Uint16Array {
  const halves = dtype === 'float16' ? Float16Array.from(values) : undefined;
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const result = halves ? new Uint16Array(halves.buffer) : new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    // What a NaN carries is not the same on every machine.
    if (Number.isNaN(values[i]!)) result[i] = halves ? 0x7e00 : 0x7fc0;
    else if (!halves) result[i] = (bits[i]! + 0x7fff + ((bits[i]! >>> 16) & 1)) >>> 16;
  }
  return result;
}
