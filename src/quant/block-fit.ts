/**
 * Scale and zero point of one block of a weight. All arithmetic is float32, in an order that SIMD lanes can keep to:
 * a kernel that works on sixteen blocks side by side gives the same bytes.
 *
 *   q = trunc(min(max(x · (1 / scale) + zeroPoint, 0), 2^bits − 1) + ½),   x' = (q − zeroPoint) · scale
 *
 * (the ½ is the float below it, so that halves alone are rounded up, and what lies just below them is not).
 */
import { f16round } from '@petamoriken/float16';
import { roundHalfEven } from './affine.js';

/** Bits of an element of a weight that is stored in blocks. */
export type WeightBits = 2 | 4 | 8;

/**
 * How scale and zero point are found.
 * - `rtn`: from the block's extremes. It is the rule of ONNX Runtime's own quantizer, byte for byte: symmetric, the
 *   largest magnitude becomes the lowest integer, so that the scale may be negative.
 * - `mse`: least squares. From the extremes, and again from nine tenths of them, integers and (scale, zero point) are
 *   fitted to each other in turn; the pair with the least Σ (x − x')² is kept.
 * - `hqq`: as `mse`, but outliers count less in each fit: a part of each error is set aside by the shrinkage operator of
 *   the ℓp norm with p = ¾ (HQQ, Badri and Shaji 2023; there p = 0.7, ¾ needs square roots alone, which every machine
 *   rounds alike). The zero point is rounded to an integer in every fit and the scale fitted to it, since executors
 *   read integers alone.
 */
export const WEIGHT_METHODS = ['rtn', 'mse', 'hqq'] as const;
export type WeightMethod = (typeof WEIGHT_METHODS)[number];

/** Bits of a grid: those of {@link WeightBits}, and 3, which no executor has kernels for, but which can be tried out. */
export type GridBits = WeightBits | 3;

/** What the integers of a block may be, and how they are found. */
export interface BlockGrid {
  readonly bits: GridBits;
  /** The zero point is 2^(bits − 1) in every block, and is not stored. */
  readonly symmetric: boolean;
  readonly method: WeightMethod;
  /** Scales are stored as float16, and fitted as such. */
  readonly half: boolean;
}

export interface BlockFit {
  /** 0 where every element is 0, or too small for a reciprocal. */
  readonly scale: number;
  readonly zeroPoint: number;
}

const round32 = Math.fround;
const FLOAT32_MAX = (2 - 2 ** -23) * 2 ** 127;
const FLOAT16_MAX = 65504;
const BELOW_HALF = 0.5 - 2 ** -25;
/** Share of the range that the second attempt starts from. */
export const NARROWER = round32(0.9);
/** Fits tried from each start, the start itself included. */
export const ATTEMPTS = 3;
/** 1/β of the shrinkage, errors being counted in steps. */
export const SHRINKAGE = round32(0.1);

/** Trunc(x + ½) for x ≥ 0: halves go up. */
const roundUp = (x: number): number => Math.trunc(round32(x + BELOW_HALF));

/** The larger of x and 0; NaN becomes 0, as it does in the lanes of a kernel. */
function positive(x: number): number {
  if (x > 0) return x;
  return 0;
}

const clamp = (x: number, full: number): number => Math.min(positive(x), full);

/** The reciprocal, 0 for a scale of 0 or one whose reciprocal is infinite. */
function reciprocal(scale: number): number {
  const value = round32(1 / scale);
  return Math.abs(value) <= FLOAT32_MAX ? value : 0;
}

/** The integer of one element. NaN becomes 0 and infinities saturate. @param inverse 1 / scale */
export const blockInteger = (x: number, inverse: number, zeroPoint: number, full: number): number =>
  roundUp(clamp(round32(round32(x * inverse) + zeroPoint), full));

/** A scale as it will be stored; 0 where it, or its reciprocal, is not finite. */
function stored(scale: number, half: boolean): number {
  const kept = half ? Math.max(-FLOAT16_MAX, Math.min(FLOAT16_MAX, f16round(scale))) : scale;
  return reciprocal(kept) === 0 ? 0 : kept;
}

/**
 * Quantizes one block.
 * @param x its elements, of which those that are not finite take no part in the fit
 * @param integers gets an integer an element
 */
export function quantizeBlock(x: Float32Array, grid: BlockGrid, integers: Uint8Array): BlockFit {
  const fit = fitBlock(x, grid);
  const inverse = reciprocal(fit.scale);
  const full = 2 ** grid.bits - 1;
  for (let k = 0; k < x.length; k++) integers[k] = blockInteger(x[k]!, inverse, fit.zeroPoint, full);
  return fit;
}

/**
 * Scale and zero point of one block.
 * @param importance how much the error of each element counts, for the methods that weigh errors; default all alike
 */
export function fitBlock(x: Float32Array, grid: BlockGrid, importance?: Float32Array): BlockFit {
  const finite = x.every((value) => Math.abs(value) <= FLOAT32_MAX)
    ? x
    : x.map((value) => (Math.abs(value) <= FLOAT32_MAX ? value : 0));
  return grid.method === 'rtn' ? extremes(finite, grid) : fitted(finite, grid, importance);
}

/** The rule of `rtn`. */
function extremes(x: Float32Array, { bits, symmetric, half }: BlockGrid): BlockFit {
  let low = FLOAT32_MAX;
  let high = -FLOAT32_MAX;
  for (const value of x) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const full = 2 ** bits - 1;
  const middle = 2 ** (bits - 1);
  if (symmetric) {
    const most = Math.abs(high) > Math.abs(low) ? high : low;
    // Adding 0 makes 0 of −0.
    return { scale: stored(round32(-most / middle) + 0, half), zeroPoint: middle };
  }
  const scale = spanOf(Math.min(low, 0), Math.max(high, 0), full);
  const zero = scale === 0 ? 0 : round32(0 - round32(Math.min(low, 0) / scale));
  return { scale: stored(scale, half), zeroPoint: roundUp(clamp(zero, full)) };
}

/** (high − low) / full, by parts where the difference overflows. */
function spanOf(low: number, high: number, full: number): number {
  const span = round32(high - low);
  return span <= FLOAT32_MAX ? round32(span / full) : round32(round32(high / full) - round32(low / full));
}

/** The rules of `mse` and `hqq`. */
function fitted(x: Float32Array, grid: BlockGrid, importance?: Float32Array): BlockFit {
  const start = extremes(x, grid);
  const best = { ...start, error: Number.POSITIVE_INFINITY };
  for (const first of [start, narrowed(x, start, grid)]) {
    let at = first;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const sums = importance ? weighedSums(x, at, grid, importance) : sumsOf(x, at, grid);
      if (sums.error < best.error) Object.assign(best, at, { error: sums.error });
      if (attempt < ATTEMPTS - 1) at = refitted(sums, at, grid);
    }
  }
  return { scale: best.scale, zeroPoint: best.zeroPoint };
}

/** A start from nine tenths of the range, around the range's middle. */
function narrowed(
  x: Float32Array,
  { scale, zeroPoint }: BlockFit,
  { bits, symmetric, half }: BlockGrid,
): BlockFit {
  const smaller = stored(round32(scale * NARROWER), half);
  if (symmetric) return { scale: smaller, zeroPoint };
  let low = 0;
  let high = 0;
  for (const value of x) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const full = 2 ** bits - 1;
  const offset = round32(round32(round32(low * 0.5) + round32(high * 0.5)) * reciprocal(smaller));
  return { scale: smaller, zeroPoint: roundUp(clamp(round32(full / 2 - offset), full)) };
}

/** With u = q − zeroPoint and t the part of x that the fit shall meet: Σ (x − x')², Σ u, Σ t, Σ u², Σ ut, and Σ 1. */
interface Sums {
  readonly error: number;
  readonly u: number;
  readonly t: number;
  readonly uu: number;
  readonly ut: number;
  readonly count: number;
}

/** The nearest integer to a number of steps, between bounds; halves go to even here, where they hardly matter. */
function fitInteger(steps: number, low: number, high: number): number {
  // Written so that NaN falls to `low`.
  if (!(steps > low)) return low;
  return roundHalfEven(Math.min(steps, high));
}

function sumsOf(x: Float32Array, { scale, zeroPoint }: BlockFit, { bits, method }: BlockGrid): Sums {
  const inverse = reciprocal(scale);
  const high = 2 ** bits - 1 - zeroPoint;
  let error = 0;
  let sumU = 0;
  let sumT = 0;
  let sumUU = 0;
  let sumUT = 0;
  let sumXX = 0;
  for (const value of x) {
    const u = fitInteger(round32(value * inverse), -zeroPoint, high);
    let t = value;
    if (method === 'hqq') {
      const missing = round32(value - round32(u * scale));
      error = round32(error + round32(missing * missing));
      t = round32(value - setAside(missing, scale, inverse));
    } else sumXX = round32(sumXX + round32(value * value));
    sumU = round32(sumU + u);
    sumT = round32(sumT + t);
    sumUU = round32(sumUU + round32(u * u));
    sumUT = round32(sumUT + round32(u * t));
  }
  if (method !== 'hqq') {
    // Σ (x − us)² = Σ x² − s · (2 Σ ux − s Σ u²), which needs fewer sums.
    error = round32(sumXX - round32(scale * round32(round32(2 * sumUT) - round32(scale * sumUU))));
  }
  return { error, u: sumU, t: sumT, uu: sumUU, ut: sumUT, count: x.length };
}

/** The same, each element counted by its importance; in double, since no kernel follows. */
function weighedSums(
  x: Float32Array,
  { scale, zeroPoint }: BlockFit,
  { bits, method }: BlockGrid,
  importance: Float32Array,
): Sums {
  const inverse = reciprocal(scale);
  const high = 2 ** bits - 1 - zeroPoint;
  const sums = { error: 0, u: 0, t: 0, uu: 0, ut: 0, count: 0 };
  for (let k = 0; k < x.length; k++) {
    const weight = importance[k]!;
    const u = fitInteger(round32(x[k]! * inverse), -zeroPoint, high);
    const missing = x[k]! - u * scale;
    const t = method === 'hqq' ? x[k]! - setAside(missing, scale, inverse) : x[k]!;
    sums.error += weight * missing * missing;
    sums.u += weight * u;
    sums.t += weight * t;
    sums.uu += weight * u * u;
    sums.ut += weight * u * t;
    sums.count += weight;
  }
  return sums;
}

/** sign(d) · max(0, |d| − |d|^(p − 1) / β) with p = ¾, d in steps, the result in units of x. */
function setAside(missing: number, scale: number, inverse: number): number {
  const steps = round32(Math.abs(missing) * Math.abs(inverse));
  const root = round32(Math.sqrt(round32(Math.sqrt(steps))));
  const kept = round32(steps - round32(round32(1 / root) * SHRINKAGE));
  const aside = round32(positive(kept) * Math.abs(scale));
  return missing < 0 ? -aside : aside;
}

/** The scale, and the nearest legal zero point, that meet t best for these integers; what it was where none does. */
function refitted(
  { u, t, uu, ut, count }: Sums,
  at: BlockFit,
  { bits, symmetric, half }: BlockGrid,
): BlockFit {
  if (symmetric) {
    const scale = stored(round32(ut / uu), half);
    return uu > 0 && scale !== 0 ? { scale, zeroPoint: at.zeroPoint } : at;
  }
  const full = 2 ** bits - 1;
  const spread = round32(uu - round32(round32(u * u) / count));
  const slope = round32(round32(ut - round32(round32(u * t) / count)) / spread);
  const shift = round32(round32(u - round32(t / slope)) / count);
  const zeroPoint = roundUp(clamp(round32(at.zeroPoint + shift), full));
  const moved = zeroPoint - at.zeroPoint;
  const above = round32(ut - round32(moved * t));
  const below = round32(
    round32(uu - round32(round32(2 * moved) * u)) + round32(round32(count * moved) * moved),
  );
  const scale = stored(round32(above / below), half);
  const fits = spread > 0 && slope > 0 && below > 0 && scale > 0;
  return fits ? { scale, zeroPoint } : at;
}
