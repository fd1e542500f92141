/** float16 by another implementation. */
import { Float16Array } from '@petamoriken/float16';

/** Bits as reals, or reals rounded to float16. */
export function float16Array(given: Uint16Array | Float32Array): Float32Array {
  return Float32Array.from(
    given instanceof Uint16Array ? new Float16Array(given.buffer as ArrayBuffer) : new Float16Array(given),
  );
}
