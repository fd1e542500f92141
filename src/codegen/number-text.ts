/** Functions of a bindings module that turn reals into what a model takes: float16, and quantized integers. */

/** Binary16 by its bits (IEEE 754), rounded to nearest, ties to even. */
export const HALF_FUNCTIONS = `/** Reals as the bits of float16, rounded to nearest. */
export function toFloat16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(1);
  const real = new Float32Array(bits.buffer);
  return Uint16Array.from(values, (value) => {
    real[0] = value;
    const [word = 0] = bits;
    const sign = (word >>> 16) & 0x8000;
    const rest = word & 0x7fffffff;
    if (rest >= 0x47800000) return sign | (rest > 0x7f800000 ? 0x7e00 : 0x7c00);
    // Below 2⁻¹⁴ the spacing is 2⁻²⁴ throughout; adding and taking away 0.5 rounds a float32 to it.
    if (rest < 0x38800000) {
      real[0] = Math.abs(value) + 0.5;
      return sign | ((bits[0] ?? 0) - 0x3f000000);
    }
    return sign | ((rest - 0x38000000 + 0xfff + ((rest >>> 13) & 1)) >>> 13);
  });
}

/** The bits of float16 as reals: exact. */
export function fromFloat16(halves: Uint16Array): Float32Array {
  return Float32Array.from(halves, (half) => {
    const exponent = (half >>> 10) & 31;
    const fraction = half & 1023;
    const size =
      exponent === 31
        ? fraction === 0
          ? Number.POSITIVE_INFINITY
          : Number.NaN
        : exponent === 0
          ? fraction * 2 ** -24
          : (1 + fraction / 1024) * 2 ** (exponent - 15);
    return half >>> 15 ? -size : size;
  });
}
`;

/** QuantizeLinear and DequantizeLinear of ONNX, for one scale and one zero point. */
export const QUANTIZE_FUNCTIONS = `/** How integers stand for reals: real = (integer − zeroPoint) × scale. */
export interface Quantization<Type extends keyof QuantizedArrays> {
  readonly type: Type;
  readonly scale: number;
  readonly zeroPoint: number;
}

interface QuantizedArrays {
  readonly uint8: Uint8Array;
  readonly int8: Int8Array;
  readonly uint16: Uint16Array;
  readonly int16: Int16Array;
}

/** The integer that is nearest, and even where two are as near, within the range of its type, as QuantizeLinear has it. */
export function quantize<Type extends keyof QuantizedArrays>(
  reals: Float32Array,
  { type, scale, zeroPoint }: Quantization<Type>,
): QuantizedArrays[Type] {
  const arrays = { uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, int16: Int16Array };
  const steps = type.endsWith('8') ? 256 : 65536;
  const least = type.startsWith('u') ? 0 : -steps / 2;
  const integers = new arrays[type](reals.length);
  reals.forEach((real, index) => {
    const ratio = Math.fround(real / scale);
    const below = Math.floor(ratio);
    const past = ratio - below;
    const nearest = past > 0.5 || (past === 0.5 && below % 2 !== 0) ? below + 1 : below;
    integers[index] = Math.min(Math.max(nearest + zeroPoint, least), least + steps - 1);
  });
  return integers as QuantizedArrays[Type];
}

/** The reals that integers stand for. */
export function dequantize<Type extends keyof QuantizedArrays>(
  integers: QuantizedArrays[Type],
  { scale, zeroPoint }: Quantization<Type>,
): Float32Array {
  return Float32Array.from(integers, (integer) => (integer - zeroPoint) * scale);
}
`;
