/** Ranges from histograms: which part of what was seen the integers shall cover. */
import { QuantcError } from '../errors/error.js';
import type { Range } from '../target/facts.js';
import type { Histogram } from './histogram.js';

/**
 * The range that leaves out the fraction `1 − percentile/100` of the elements, half of it at either end; within a bin
 * elements are taken as evenly spread. 100 gives the extremes.
 * Where so much is left out that the ends meet, they may lie in one bin, whose order interpolation cannot tell.
 * @param percentile in (0, 100]
 */
export function percentileRange(histogram: Histogram, percentile: number): Range {
  if (!(percentile > 0 && percentile <= 100)) {
    throw new QuantcError('E_CALIBRATION_PERCENTILE', `${percentile} is no percentile`, { kind: 'usage' });
  }
  const { min, max, total } = histogram;
  const outside = (total * (1 - percentile / 100)) / 2;
  const inside = (value: number): number => Math.min(max, Math.max(min, value));
  const low = inside(quantile(histogram, outside, false));
  const high = inside(quantile(histogram, outside, true));
  return low <= high ? { min: low, max: high } : { min: high, max: low };
}

/** The point with `outside` elements below it, or above it with `fromTop`. */
function quantile(histogram: Histogram, outside: number, fromTop: boolean): number {
  const { counts, width, zeros, min, max } = histogram;
  if (outside <= 0) return fromTop ? max : min;
  const side = counts.length / 2;
  let passed = 0;
  for (let step = 0; step < counts.length; step++) {
    const bin = fromTop ? counts.length - 1 - step : step;
    const edge = (bin - side + (fromTop ? 1 : 0)) * width;
    // Coming from below, zeros lie before their bin's positive elements; from above, after them.
    if (!fromTop && bin === side) {
      passed += zeros;
      if (passed >= outside) return 0;
    }
    const count = counts[bin]!;
    if (count > 0 && passed + count >= outside) {
      return edge + ((outside - passed) / count) * width * (fromTop ? -1 : 1);
    }
    passed += count;
    if (fromTop && bin === side) {
      passed += zeros;
      if (passed >= outside) return 0;
    }
  }
  return fromTop ? min : max;
}

/** The integer grid that a range is for. */
export interface Grid {
  /** Steps between the smallest and the largest integer: 255 for 8 bits, 254 for symmetric int8. */
  readonly steps: number;
  /** Zero lies in the middle: the range is `[−a, a]`. */
  readonly symmetric: boolean;
}

/** Fractions of the full range that are tried on either side. */
const SHRINKS = Array.from({ length: 90 }, (_, i) => 1 - i / 100);

/**
 * The range with the least sum of |error|^power over the elements counted, when they are rounded to a grid over it and
 * clipped: 2 is the squared error, more gives outliers more weight. Zero always lies inside. Both ends are shrunk in turn over a grid of fractions of the extremes until
 * neither gets better: exact for symmetric grids up to that resolution, a local optimum otherwise.
 */
export function leastErrorRange(histogram: Histogram, grid: Grid, power = 2): Range {
  if (!(power > 0 && power <= 8)) {
    throw new QuantcError('E_CALIBRATION_POWER', `${power} is no power of an error: take 1 to 8`, {
      kind: 'usage',
    });
  }
  const lowest = Math.min(histogram.min, 0);
  const highest = Math.max(histogram.max, 0);
  const mass = occupied(histogram);
  if (grid.symmetric) {
    const reach = Math.max(-lowest, highest);
    const best = search((p) => totalError(mass, { min: -reach * p, max: reach * p }, grid.steps, power));
    return { min: -reach * best.shrink, max: reach * best.shrink };
  }
  let low = 1;
  let high = 1;
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 8; round++) {
    const top = search((p) => totalError(mass, { min: lowest * low, max: highest * p }, grid.steps, power));
    high = top.shrink;
    const bottom = search((p) =>
      totalError(mass, { min: lowest * p, max: highest * high }, grid.steps, power),
    );
    low = bottom.shrink;
    if (!(bottom.error < least)) break;
    least = bottom.error;
  }
  return { min: lowest * low, max: highest * high };
}

function search(errorOf: (shrink: number) => number): { shrink: number; error: number } {
  let best = { shrink: 1, error: Number.POSITIVE_INFINITY };
  for (const shrink of SHRINKS) {
    const error = errorOf(shrink);
    if (error < best.error) best = { shrink, error };
  }
  return best;
}

interface Mass {
  readonly centers: Float64Array;
  readonly counts: Float64Array;
  readonly width: number;
}

/** Bins that hold something, by their middle; the extreme bins do not reach beyond the extremes. */
function occupied({ counts, width, min, max }: Histogram): Mass {
  const bins: number[] = [];
  counts.forEach((count, bin) => {
    if (count > 0) bins.push(bin);
  });
  const side = counts.length / 2;
  const middle = (bin: number) => Math.min(max, Math.max(min, (bin - side + 0.5) * width));
  return {
    centers: Float64Array.from(bins, middle),
    counts: Float64Array.from(bins, (bin) => counts[bin]!),
    width,
  };
}

/**
 * Sum of |difference|^power between the elements and what they become. Inside the range a bin counts by its middle, or,
 * where the grid is about as fine as the bins, by the mean of an even spread: (step/2)^power / (power + 1), which is
 * step²/12 for squares. Zeros cost nothing.
 */
function totalError(mass: Mass, range: Range, steps: number, power: number): number {
  const step = (range.max - range.min) / steps;
  if (!(step > 0)) return mass.counts.length === 0 ? 0 : Number.POSITIVE_INFINITY;
  const fine = step < 2 * mass.width;
  const even = (step / 2) ** power / (power + 1);
  const zero = Math.round(-range.min / step);
  const low = -zero * step;
  const high = (steps - zero) * step;
  let sum = 0;
  for (let i = 0; i < mass.counts.length; i++) {
    const x = mass.centers[i]!;
    const rounded = x < low ? low : x > high ? high : fine ? undefined : Math.round(x / step) * step;
    const error =
      rounded === undefined ? even : power === 2 ? (x - rounded) ** 2 : Math.abs(x - rounded) ** power;
    sum += mass.counts[i]! * error;
  }
  return sum;
}
