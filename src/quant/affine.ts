/**
 * Choosing scale and zero point.
 *
 * ONNX defines (operators QuantizeLinear and DequantizeLinear, ai.onnx 10 on):
 *   q = saturate(round(x / scale) + zeroPoint), round half to even;   x' = (q - zeroPoint) * scale.
 * Everything here follows from the two demands that zero be exact (it pads and masks) and that the range's ends be
 * representable.
 */
import { QuantcError } from '../errors/error.js';
import type { DType } from '../ir/dtype.js';

/** The dtypes that QuantizeLinear produces and that are plain integers. */
export const QUANTIZED_TYPES = [
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int4',
  'uint4',
  'int2',
  'uint2',
] as const satisfies readonly DType[];
export type QuantizedType = (typeof QUANTIZED_TYPES)[number];

/** Whether a dtype is one that {@link chooseAffine} and the quantizers know. */
export const isQuantizedType = (dtype: DType): dtype is QuantizedType =>
  (QUANTIZED_TYPES as readonly DType[]).includes(dtype);

/** Inclusive bounds: of real values, or of the integers that may be used. */
export interface Bounds {
  readonly min: number;
  readonly max: number;
}

/** Every integer of the type. */
export function typeBounds(dtype: QuantizedType): Bounds {
  const bits = bitsOf(dtype);
  return dtype.startsWith('u')
    ? { min: 0, max: 2 ** bits - 1 }
    : { min: -(2 ** (bits - 1)), max: 2 ** (bits - 1) - 1 };
}

/** Bits of one quantized element. */
export function bitsOf(dtype: QuantizedType): number {
  return dtype.endsWith('16') ? 16 : dtype.endsWith('8') ? 8 : dtype.endsWith('4') ? 4 : 2;
}

/** Which integers a grid may use. */
export interface GridOptions {
  /** The zero point is the type's middle (0, or 128 for uint8) and the grid has as many steps below as above. */
  readonly symmetric?: boolean;
  /**
   * Largest distance from the zero point that may be used, when less than the type offers. 64 for int8 weights keeps
   * the sum of two u8×s8 products inside 16 bits, which AVX2 without VNNI needs.
   */
  readonly clamp?: number;
}

export interface AffineOptions extends GridOptions {
  /** The scale must be at least this; see `biasScaleFloor`. */
  readonly scaleFloor?: number;
}

/**
 * The integers that a quantizer may use. Symmetric grids leave out the odd lowest value (int8: −127…127, uint8:
 * 1…255 around 128), so that x and −x get the same magnitude.
 * @throws QuantcError E_QUANT_CLAMP when `clamp` is not a positive whole number.
 */
export function usableBounds(dtype: QuantizedType, options: GridOptions = {}): Bounds {
  const full = typeBounds(dtype);
  const { clamp } = options;
  if (clamp !== undefined && !(Number.isInteger(clamp) && clamp > 0)) {
    throw new QuantcError('E_QUANT_CLAMP', `a clamp is a positive whole number, not ${clamp}`, {
      kind: 'usage',
    });
  }
  if (options.symmetric) {
    const middle = middleOf(dtype);
    const reach = Math.min(full.max - middle, clamp ?? Number.POSITIVE_INFINITY);
    return { min: middle - reach, max: middle + reach };
  }
  if (clamp === undefined) return full;
  // Asymmetric grids have no middle: the clamp bounds the integers themselves (uint8 with 127: 0…127).
  return { min: Math.max(full.min, -clamp), max: Math.min(full.max, clamp) };
}

/** The zero point of a symmetric grid. */
export const middleOf = (dtype: QuantizedType): number =>
  dtype.startsWith('u') ? 2 ** (bitsOf(dtype) - 1) : 0;

export interface Affine {
  /** A float32 value, positive, finite and normal. */
  readonly scale: number;
  readonly zeroPoint: number;
  /**
   * - `exact`: the range decided.
   * - `floor`: the range asked for less than `scaleFloor`, which decided.
   * - `zero`: the range is [0, 0]; scale 1 (or the floor), everything quantizes to the zero point.
   * - `tiny`: the scale would fall below the smallest normal float32, where executors that flush denormals divide by
   *   zero; scale 1 (or the floor), everything quantizes to the zero point.
   * - `nonfinite`: a bound is NaN or infinite; scale 1. A planner should leave such a value float.
   */
  readonly outcome: 'exact' | 'floor' | 'zero' | 'tiny' | 'nonfinite';
}

/** Smallest normal float32. */
export const FLOAT32_TINY = 2 ** -126;
const FLOAT32_MAX = (2 - 2 ** -23) * 2 ** 127;

/** A dtype with its options worked out, for choosing many scales. */
export interface Grid {
  readonly usable: Bounds;
  /** Where a zero point lies that no range decides: the middle of a symmetric grid. */
  readonly zeroAt: number;
  readonly symmetric: boolean;
}

/** @throws QuantcError E_QUANT_CLAMP */
export function gridOf(dtype: QuantizedType, options: GridOptions = {}): Grid {
  const usable = usableBounds(dtype, options);
  const symmetric = options.symmetric ?? false;
  const zeroAt = symmetric ? middleOf(dtype) : Math.min(Math.max(0, usable.min), usable.max);
  return { usable, zeroAt, symmetric };
}

/**
 * Scale and zero point for real values in [range.min, range.max]. The range is widened to hold 0. Computed in double;
 * the scale is rounded to float32 before the zero point is taken from it, so that both belong together.
 *
 * Asymmetric: scale = (max − min) / (qmax − qmin), zeroPoint = clamp(round(qmin − min / scale)).
 * Symmetric: scale = max(|min|, |max|) / (qmax − middle), zeroPoint = middle.
 */
export function chooseAffine(range: Bounds, dtype: QuantizedType, options: AffineOptions = {}): Affine {
  return affineOn(gridOf(dtype, options), range.min, range.max, options.scaleFloor);
}

/** {@link chooseAffine} on a grid worked out before. */
export function affineOn(grid: Grid, least: number, most: number, scaleFloor = 0): Affine {
  const { usable, zeroAt, symmetric } = grid;
  if (!Number.isFinite(least) || !Number.isFinite(most)) {
    return { scale: 1, zeroPoint: zeroAt, outcome: 'nonfinite' };
  }
  const min = Math.min(least, 0);
  const max = Math.max(most, 0);
  const wanted = symmetric
    ? Math.max(-min, max) / (usable.max - zeroAt)
    : (max - min) / (usable.max - usable.min);
  if (Math.fround(wanted) < FLOAT32_TINY) {
    const scale = scaleFloor > 0 ? toScale(scaleFloor) : 1;
    return { scale, zeroPoint: zeroAt, outcome: wanted === 0 ? 'zero' : 'tiny' };
  }
  const scale = toScale(Math.max(wanted, scaleFloor));
  const zeroPoint = symmetric
    ? zeroAt
    : Math.min(Math.max(roundHalfEven(usable.min - min / scale), usable.min), usable.max);
  return { scale, zeroPoint, outcome: wanted < scaleFloor ? 'floor' : 'exact' };
}

const toScale = (value: number): number => Math.min(Math.max(Math.fround(value), FLOAT32_TINY), FLOAT32_MAX);

// Adding and taking away 1.5·2^52 leaves a double no bits for a fraction; the hardware rounds half to even.
const TO_INTEGER = 1.5 * 2 ** 52;

/** Rounds to the nearest integer, half to even. Valid for |x| < 2^51; NaN and infinities stay. */
export const roundHalfEven = (x: number): number => x + TO_INTEGER - TO_INTEGER;
