/** From values to scales: the range of each parameter's elements, and the clip ratio that loses least. */
import { affineOn, type GridOptions, gridOf, type QuantizedType, usableBounds } from './affine.js';
import { eachRun, type Layout } from './layout.js';
import { quantizeOne } from './quantize.js';

/**
 * - `absmax`: the whole range is kept.
 * - `mse`: of 81 ranges, shrunk by p = 1, 0.99, … 0.2, the one with the least Σ (x − x')² is kept; values outside it
 *   saturate. (The grid is that of GPTQ's quantizer; the exponent is 2 here, not 2.4, because powers are not rounded
 *   alike on every machine and the bytes must be.)
 */
export type ScaleSearch = 'absmax' | 'mse';

export interface FitOptions extends GridOptions {
  readonly search?: ScaleSearch;
  /** Least scale of each parameter; see `biasScaleFloor`. */
  readonly scaleFloor?: ArrayLike<number>;
}

/** Scales and zero points, in the order of the layout's `parameterShape`. */
export interface FittedScales {
  readonly scale: Float32Array;
  readonly zeroPoint: Int32Array;
}

/** Least and greatest finite element of each parameter, 0 included: NaN and infinities take no part. */
export interface Ranges {
  readonly min: Float32Array;
  readonly max: Float32Array;
}

const FLOAT32_LIMIT = 2 ** 128;

/** The ranges of each parameter's elements. */
export function rangesOf(values: Float32Array, layout: Layout): Ranges {
  const parameters = layout.parameterShape.reduce((product, dim) => product * dim, 1);
  const min = new Float32Array(parameters);
  const max = new Float32Array(parameters);
  eachRun(layout, (start, length, parameter, step) => {
    for (let k = 0; k < length; k++) {
      const x = values[start + k]!;
      const p = parameter + k * step;
      if (x < min[p]! && x > -FLOAT32_LIMIT) min[p] = x;
      else if (x > max[p]! && x < FLOAT32_LIMIT) max[p] = x;
    }
  });
  return { min, max };
}

/** Scale and zero point of each parameter from its range. */
export function scalesFromRanges(
  ranges: Ranges,
  dtype: QuantizedType,
  options: FitOptions,
  shrink?: number,
): FittedScales {
  const count = ranges.min.length;
  const scale = new Float32Array(count);
  const zeroPoint = new Int32Array(count);
  const grid = gridOf(dtype, options);
  const ratio = shrink ?? 1;
  for (let p = 0; p < count; p++) {
    const chosen = affineOn(grid, ranges.min[p]! * ratio, ranges.max[p]! * ratio, options.scaleFloor?.[p]);
    scale[p] = chosen.scale;
    zeroPoint[p] = chosen.zeroPoint;
  }
  return { scale, zeroPoint };
}

/** The shrink ratios that `mse` tries, widest first; of equally good ones the first is taken. */
export const SHRINK_RATIOS: readonly number[] = Array.from({ length: 81 }, (_, i) => (100 - i) / 100);

/** Scales and zero points for values laid out so. */
export function fitScales(
  values: Float32Array,
  layout: Layout,
  dtype: QuantizedType,
  options: FitOptions = {},
): FittedScales {
  const ranges = rangesOf(values, layout);
  const widest = scalesFromRanges(ranges, dtype, options);
  if (options.search !== 'mse') return widest;
  const best = { scale: widest.scale.slice(), zeroPoint: widest.zeroPoint.slice() };
  const least = squaredErrors(values, layout, dtype, widest, options);
  for (const ratio of SHRINK_RATIOS.slice(1)) {
    const candidate = scalesFromRanges(ranges, dtype, options, ratio);
    keepBetter(best, least, candidate, squaredErrors(values, layout, dtype, candidate, options));
  }
  return best;
}

/** Takes over, parameter by parameter, the scales whose error is less. */
export function keepBetter(
  best: FittedScales,
  least: Float64Array,
  candidate: FittedScales,
  errors: Float64Array,
): void {
  for (let p = 0; p < least.length; p++) {
    if (errors[p]! < least[p]!) {
      least[p] = errors[p]!;
      best.scale[p] = candidate.scale[p]!;
      best.zeroPoint[p] = candidate.zeroPoint[p]!;
    }
  }
}

/**
 * Σ (x − x')² of each parameter over its finite elements. The difference is rounded to float32, its square summed in
 * double; within a run that shares a scale, even and odd elements are summed apart and the two sums added to the
 * parameter's when the run ends. A faster kernel must keep to that order.
 */
export function squaredErrors(
  values: Float32Array,
  layout: Layout,
  dtype: QuantizedType,
  { scale, zeroPoint }: FittedScales,
  options: FitOptions = {},
): Float64Array {
  const { min, max } = usableBounds(dtype, options);
  const errors = new Float64Array(scale.length);
  const squared = (x: number, p: number): number => {
    const zero = zeroPoint[p]!;
    const real = Math.fround(quantizeOne(x, scale[p]!, min - zero, max - zero) * scale[p]!);
    const difference = Math.fround(x - real);
    return difference * difference;
  };
  const finite = (x: number): boolean => x > -FLOAT32_LIMIT && x < FLOAT32_LIMIT;
  eachRun(layout, (start, length, parameter, step) => {
    if (step === 1) {
      for (let k = 0; k < length; k++) {
        const x = values[start + k]!;
        if (finite(x)) errors[parameter + k]! += squared(x, parameter + k);
      }
      return;
    }
    let even = 0;
    let odd = 0;
    for (let k = 0; k < length; k++) {
      const x = values[start + k]!;
      const term = finite(x) ? squared(x, parameter) : 0;
      if (k % 2 === 0) even += term;
      else odd += term;
    }
    errors[parameter]! += even + odd;
  });
  return errors;
}
