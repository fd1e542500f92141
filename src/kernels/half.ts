/** float16 bit patterns and numbers, one at a time and fast: for loops that cannot take a whole array at once. */
import { Float16Array } from '@petamoriken/float16';
import { roundHalfEven } from '../quant/affine.js';

let values: Float32Array | undefined;

/** The number that a bit pattern is. */
export function widened(bits: number): number {
  values ??= Float32Array.from(new Float16Array(Uint16Array.from({ length: 1 << 16 }, (_, i) => i).buffer));
  return values[bits]!;
}

const double = new Float64Array(1);
const words = new Uint32Array(double.buffer);

/** Powers of two that bring numbers of each exponent from −14 to 15 to 1024…2048. */
const TO_MANTISSA = Float64Array.from({ length: 30 }, (_, i) => 2 ** (24 - i));

/** The bit pattern of a number rounded to float16, half to even; too large ones become infinite, NaN a quiet one. */
export function halfOf(x: number): number {
  double[0] = x;
  const high = words[1]!;
  const sign = (high >>> 16) & 0x8000;
  const a = Math.abs(x);
  if (!(a < 65520)) return Number.isNaN(x) ? 0x7e00 : sign | 0x7c00;
  if (a < 2 ** -14) return sign | roundHalfEven(a * 2 ** 24);
  const exponent = ((high >>> 20) & 0x7ff) - 1023;
  // A mantissa that rounds up to 2048 carries into the exponent as it should.
  return sign | (((exponent + 14) << 10) + roundHalfEven(a * TO_MANTISSA[exponent + 14]!));
}
