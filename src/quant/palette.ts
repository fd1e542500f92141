/**
 * Palettes: 2^bits values that the elements of a tensor are told by their places in. Values are chosen for the least
 * Σ f·(w − v)², f being what an error of an element costs (squared gradients, as in SqueezeLLM, Kim et al. 2024), else 1.
 * On a line clusters are intervals, so that the best ones are found by dynamic programming over sorted points, each row
 * of it by divide and conquer since best borders never move back (Grønlund et al., Fast exact k-means, 2017).
 */

/** Up to so many different values, clusters are exact; more are gathered in as many bins first. */
const POINTS = 4096;
/** Rounds in which elements take their nearest value and values the mean of their elements, after bins. */
const ROUNDS = 4;
/** Where more of the elements are 0, as after pruning, one value is 0 exactly. */
const ZEROS = 0.01;

/** Points on a line, ascending and different, with what each weighs. */
export interface WeightedPoints {
  readonly points: Float64Array;
  readonly weights: Float64Array;
}

/**
 * The values that stand for weighted points with the least Σ weight·(point − value)², ascending: no more than `count`.
 * Exact; O(count · points · log points).
 * @param count at least 1 @param points at least one
 */
export function bestValues({ points, weights }: WeightedPoints, count: number): Float64Array {
  const n = points.length;
  if (n <= count) return points.slice();
  // About the middle squares stay small, and their differences sure.
  const middle = points[n >> 1]!;
  const sums = [0, 1, 2].map(() => new Float64Array(n + 1)) as [Float64Array, Float64Array, Float64Array];
  for (let i = 0; i < n; i++) {
    const [x, w] = [points[i]! - middle, weights[i]!];
    sums[0][i + 1] = sums[0][i]! + w;
    sums[1][i + 1] = sums[1][i]! + w * x;
    sums[2][i + 1] = sums[2][i]! + w * x * x;
  }
  const [mass, first, second] = sums;
  /** What the points from `from` up to, not including, `to` cost as one cluster. */
  const cost = (from: number, to: number): number => {
    const w = mass[to]! - mass[from]!;
    if (w <= 0) return 0;
    const x = first[to]! - first[from]!;
    return Math.max(0, second[to]! - second[from]! - (x * x) / w);
  };
  let before = Float64Array.from({ length: n + 1 }, (_, to) => cost(0, to));
  const starts: Uint16Array[] = [];
  for (let k = 1; k < count; k++) {
    const now = new Float64Array(n + 1);
    const start = new Uint16Array(n + 1);
    const solve = (low: number, high: number, from: number, to: number): void => {
      if (low > high) return;
      const at = (low + high) >> 1;
      let [best, where] = [Number.POSITIVE_INFINITY, from];
      for (let s = from; s <= Math.min(to, at); s++) {
        const sum = before[s]! + cost(s, at);
        if (sum < best) [best, where] = [sum, s];
      }
      now[at] = best;
      start[at] = where;
      solve(low, at - 1, from, where);
      solve(at + 1, high, where, to);
    };
    solve(0, n, 0, n);
    before = now;
    starts.push(start);
  }
  const values: number[] = [];
  let end = n;
  for (let k = count - 1; k >= 0 && end > 0; k--) {
    const from = k === 0 ? 0 : starts[k - 1]![end]!;
    if (from < end) {
      const w = mass[end]! - mass[from]!;
      values.unshift(w > 0 ? middle + (first[end]! - first[from]!) / w : points[(from + end) >> 1]!);
    }
    end = from;
  }
  return Float64Array.from(values);
}

/** The different values of a list and what each weighs; undefined where there are more than `most`. */
export function pointsOf(
  values: Float32Array,
  weights: Float32Array | undefined,
  most: number,
): WeightedPoints | undefined {
  const mass = new Map<number, number>();
  for (let at = 0; at < values.length; at++) {
    // −0 and 0 are one value.
    const value = values[at]! + 0;
    mass.set(value, (mass.get(value) ?? 0) + (weights?.[at] ?? 1));
    if (mass.size > most) return undefined;
  }
  const points = Float64Array.from(mass.keys()).sort();
  return { points, weights: points.map((point) => mass.get(point)!) };
}

/** The same gathered in bins of equal width, each as the mean of what is in it. */
function binned(values: Float32Array, weights: Float32Array | undefined): WeightedPoints {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const [mass, sums] = [new Float64Array(POINTS), new Float64Array(POINTS)];
  const scale = POINTS / (high - low);
  for (let at = 0; at < values.length; at++) {
    const value = values[at]!;
    const bin = Math.min(POINTS - 1, Math.floor((value - low) * scale));
    const weight = weights?.[at] ?? 1;
    mass[bin]! += weight;
    sums[bin]! += weight * value;
  }
  const filled = [...mass.keys()].filter((bin) => mass[bin]! > 0);
  return {
    points: Float64Array.from(filled, (bin) => sums[bin]! / mass[bin]!),
    weights: Float64Array.from(filled, (bin) => mass[bin]!),
  };
}

/** A palette, and what is known of it. */
export interface Palette {
  /** 2^bits values, ascending; the last repeats where fewer are of use. */
  readonly values: Float32Array;
  /** The elements' own values are all in it. */
  readonly lossless: boolean;
}

/**
 * The palette of a list of finite values.
 * @param weights what an error of each element costs, not negative and not all 0; absent: 1
 */
export function paletteOf(values: Float32Array, bits: number, weights?: Float32Array): Palette {
  const count = 2 ** bits;
  const few = pointsOf(values, undefined, count);
  if (few !== undefined) return { values: padded(Float32Array.from(few.points), count), lossless: true };
  const exact = pointsOf(values, weights, POINTS);
  let best = Float32Array.from(bestValues(exact ?? binned(values, weights), count));
  if (exact === undefined) for (let round = 0; round < ROUNDS; round++) best = settled(values, weights, best);
  const zeros = values.reduce((sum, value) => sum + (value === 0 ? 1 : 0), 0);
  if (zeros > ZEROS * values.length) best[nearestTo(best)(0)] = 0;
  return { values: padded(best.sort(), count), lossless: false };
}

/** Each value as the mean of the elements that it is nearest to. */
function settled(
  values: Float32Array,
  weights: Float32Array | undefined,
  palette: Float32Array,
): Float32Array<ArrayBuffer> {
  const [mass, sums] = [new Float64Array(palette.length), new Float64Array(palette.length)];
  const nearest = nearestTo(palette);
  for (let at = 0; at < values.length; at++) {
    const place = nearest(values[at]!);
    const weight = weights?.[at] ?? 1;
    mass[place]! += weight;
    sums[place]! += weight * values[at]!;
  }
  return Float32Array.from(palette, (value, place) =>
    mass[place]! > 0 ? sums[place]! / mass[place]! : value,
  );
}

const padded = (values: Float32Array, count: number): Float32Array =>
  Float32Array.from({ length: count }, (_, place) => values[Math.min(place, values.length - 1)]!);

/** Answers with the place of the nearest of ascending values; of two that are as near, the lower one. */
export function nearestTo(palette: Float32Array): (value: number) => number {
  const borders = Float64Array.from(
    { length: palette.length - 1 },
    (_, at) => (palette[at]! + palette[at + 1]!) / 2,
  );
  return (value) => {
    let [low, high] = [0, borders.length];
    while (low < high) {
      const at = (low + high) >> 1;
      if (value > borders[at]!) low = at + 1;
      else high = at;
    }
    return low;
  };
}
