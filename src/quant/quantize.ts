/** QuantizeLinear and DequantizeLinear on arrays: the reference that every faster kernel must equal byte for byte. */
import { QuantcError } from '../errors/error.js';
import { type Bounds, bitsOf, type QuantizedType, roundHalfEven, typeBounds } from './affine.js';
import { eachRun, type Granularity, type Layout, layoutOf } from './layout.js';
import { pack, unpack } from './pack.js';

export type QuantizedArray = Int8Array | Uint8Array | Int16Array | Uint16Array;

/** How a tensor is quantized: dtype, which scale belongs to which element, and the scales. */
export interface QuantizeSpec {
  readonly dtype: QuantizedType;
  readonly shape: readonly number[];
  /** Quantization axis; of no meaning for `tensor`. Negative counts from the back. Default 1, as the operator's. */
  readonly axis?: number;
  readonly granularity: Granularity;
  /** Float32 values, one for each parameter in the order of {@link layoutOf}'s `parameterShape`. */
  readonly scale: ArrayLike<number>;
  /** Integers of `dtype`, as many as scales; all zero when absent. */
  readonly zeroPoint?: ArrayLike<number>;
  /** Integers that may be used, when fewer than the dtype offers. */
  readonly bounds?: Bounds;
}

/**
 * Quantizes float32 values: saturate(round(x / scale) + zeroPoint), where the quotient is a float32 and half rounds to
 * even. NaN becomes the lowest usable integer and infinities saturate, as ONNX Runtime's kernels do.
 * 4-bit and 2-bit results come packed, low bits first.
 * @throws QuantcError E_QUANT_SHAPE when array lengths do not fit the shape, E_QUANT_AXIS, E_QUANT_BLOCK.
 */
export function quantize(values: Float32Array, spec: QuantizeSpec): QuantizedArray {
  const layout = checkedLayout(spec, values.length);
  const { scale, zeroPoint } = spec;
  const { min, max } = spec.bounds ?? typeBounds(spec.dtype);
  const bits = bitsOf(spec.dtype);
  const result = emptyArray(spec.dtype, values.length);
  eachRun(layout, (start, length, parameter, step) => {
    for (let k = 0; k < length; k++) {
      const p = parameter + k * step;
      const zero = zeroPoint ? zeroPoint[p]! : 0;
      result[start + k] = quantizeOne(values[start + k]!, scale[p]!, min - zero, max - zero) + zero;
    }
  });
  return bits >= 8 ? result : pack(result, bits as 4 | 2);
}

/** The integer nearest x / scale within [low, high], before the zero point is added. */
export function quantizeOne(x: number, scale: number, low: number, high: number): number {
  const quotient = Math.fround(x / scale);
  // Written so that NaN falls to `low`.
  if (!(quotient > low)) return low;
  return roundHalfEven(Math.min(quotient, high));
}

/**
 * The real values of quantized ones: (q − zeroPoint) × scale, the product rounded to float32.
 * @param quantized as {@link quantize} gives them: one element an entry, or packed for 4 and 2 bits.
 */
export function dequantize(
  quantized: QuantizedArray | Int32Array,
  spec: Omit<QuantizeSpec, 'bounds' | 'dtype'> & { readonly dtype: QuantizedType | 'int32' },
): Float32Array {
  const { dtype, scale, zeroPoint } = spec;
  const bits = dtype === 'int32' ? 32 : bitsOf(dtype);
  const count = spec.shape.reduce((product, dim) => product * dim, 1);
  const integers =
    bits >= 8 ? quantized : unpack(quantized as Uint8Array, count, bits as 4 | 2, !dtype.startsWith('u'));
  const layout = checkedLayout(spec, integers.length);
  const result = new Float32Array(integers.length);
  eachRun(layout, (start, length, parameter, step) => {
    for (let k = 0; k < length; k++) {
      const p = parameter + k * step;
      // ONNX Runtime turns the difference into a float32 first; it matters for int32 beyond 2^24 alone.
      const difference = Math.fround(integers[start + k]! - (zeroPoint ? zeroPoint[p]! : 0));
      result[start + k] = difference * scale[p]!;
    }
  });
  return result;
}

function checkedLayout(
  spec: Pick<QuantizeSpec, 'shape' | 'axis' | 'granularity' | 'scale' | 'zeroPoint'>,
  count: number,
): Layout {
  const layout = layoutOf(spec.shape, spec.axis ?? 1, spec.granularity);
  const parameters = layout.parameterShape.reduce((product, dim) => product * dim, 1);
  const expected = layout.outer * layout.channels * layout.inner;
  if (count !== expected) {
    throw new QuantcError('E_QUANT_SHAPE', `${count} elements given for the shape [${spec.shape}]`);
  }
  if (spec.scale.length !== parameters || (spec.zeroPoint && spec.zeroPoint.length !== parameters)) {
    throw new QuantcError(
      'E_QUANT_SHAPE',
      `${spec.scale.length} scales and ${spec.zeroPoint?.length ?? 'no'} zero points where ${parameters} belong`,
    );
  }
  return layout;
}

/** An array for one element an entry; 4-bit and 2-bit elements take a byte each until they are packed. */
function emptyArray(dtype: QuantizedType, length: number): QuantizedArray {
  const signed = !dtype.startsWith('u');
  if (bitsOf(dtype) === 16) return signed ? new Int16Array(length) : new Uint16Array(length);
  return signed ? new Int8Array(length) : new Uint8Array(length);
}
