/**
 * The inner loops of calibration as SIMD WebAssembly (AssemblyScript): extremes and counts of float32 elements. Both
 * equal the reference in src/quant/counter.ts for every input, denormals, infinities and NaN included.
 */

/** Bins on either side of zero, as there. */
const SIDE: i32 = 2048;
/** Neighbours are often alike: each of four lanes counts in a table of its own, so that none waits for another. */
const TABLE: usize = 16384;

/**
 * Writes the least and the greatest of the elements to `result` (float32 pair), NaN not among them.
 * @returns 1 when all are finite, else 0
 */
export function extremes(x: usize, count: i32, result: usize): i32 {
  const end = x + ((<usize>count) << 2);
  let least = f32x4.splat(Infinity);
  let most = f32x4.splat(-Infinity);
  // x − x is zero for finite elements and NaN for all others.
  let odd = i32x4.splat(0);
  let at = x;
  for (; at + 32 <= end; at += 32) {
    const a = v128.load(at);
    const b = v128.load(at, 16);
    least = f32x4.pmin(f32x4.pmin(least, a), b);
    most = f32x4.pmax(f32x4.pmax(most, a), b);
    odd = v128.or(odd, v128.or(f32x4.sub(a, a), f32x4.sub(b, b)));
  }
  let low = min4(least);
  let high = max4(most);
  let strange = v128.any_true(odd);
  for (; at < end; at += 4) {
    const element = load<f32>(at);
    if (element < low) low = element;
    if (element > high) high = element;
    if (!(element - element === 0)) strange = true;
  }
  store<f32>(result, low);
  store<f32>(result, high, 4);
  return strange ? 0 : 1;
}

function min4(v: v128): f32 {
  let low = f32x4.extract_lane(v, 0);
  if (f32x4.extract_lane(v, 1) < low) low = f32x4.extract_lane(v, 1);
  if (f32x4.extract_lane(v, 2) < low) low = f32x4.extract_lane(v, 2);
  if (f32x4.extract_lane(v, 3) < low) low = f32x4.extract_lane(v, 3);
  return low;
}

function max4(v: v128): f32 {
  let high = f32x4.extract_lane(v, 0);
  if (f32x4.extract_lane(v, 1) > high) high = f32x4.extract_lane(v, 1);
  if (f32x4.extract_lane(v, 2) > high) high = f32x4.extract_lane(v, 2);
  if (f32x4.extract_lane(v, 3) > high) high = f32x4.extract_lane(v, 3);
  return high;
}

/**
 * Counts elements by bin, floor(x · inverse) + SIDE, in four tables of 2·SIDE uint32 each at `tables`, whose sum is
 * the histogram. Zeros are counted with the bin that begins at zero.
 * @param inverse one over the width of a bin, a power of two; every |x · inverse| is below SIDE
 * @returns how many elements are zero
 */
export function count(x: usize, elements: i32, inverse: f32, tables: usize): i32 {
  const end = x + ((<usize>elements) << 2);
  const scale = f32x4.splat(inverse);
  const none = f32x4.splat(0);
  // In bytes: each lane's table, and the bin of zero in it.
  const origin = i32x4(
    SIDE << 2,
    (SIDE << 2) + <i32>TABLE,
    (SIDE << 2) + 2 * <i32>TABLE,
    (SIDE << 2) + 3 * <i32>TABLE,
  );
  let zeros = i32x4.splat(0);
  let at = x;
  for (; at + 16 <= end; at += 16) {
    const a = v128.load(at);
    const scaled = f32x4.mul(a, scale);
    const whole = i32x4.trunc_sat_f32x4_s(f32x4.floor(scaled));
    zeros = i32x4.sub(zeros, f32x4.eq(a, none));
    // Small negative elements of wide bins become zero when they are scaled: theirs is the bin below.
    const vanished = v128.and(f32x4.lt(a, none), f32x4.eq(scaled, none));
    const place = i32x4.add(i32x4.shl(i32x4.add(whole, vanished), 2), origin);
    increment(tables + i32x4.extract_lane(place, 0));
    increment(tables + i32x4.extract_lane(place, 1));
    increment(tables + i32x4.extract_lane(place, 2));
    increment(tables + i32x4.extract_lane(place, 3));
  }
  let total =
    i32x4.extract_lane(zeros, 0) +
    i32x4.extract_lane(zeros, 1) +
    i32x4.extract_lane(zeros, 2) +
    i32x4.extract_lane(zeros, 3);
  for (; at < end; at += 4) {
    const element = load<f32>(at);
    const scaled = element * inverse;
    let bin = <i32>floor<f32>(scaled);
    if (element < 0 && scaled === 0) bin -= 1;
    if (element === 0) total += 1;
    increment(tables + ((bin + SIDE) << 2));
  }
  return total;
}

function increment(at: usize): void {
  store<u32>(at, load<u32>(at) + 1);
}
