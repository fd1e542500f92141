/**
 * The inner loops of weight quantization as SIMD WebAssembly (AssemblyScript). Callers lay memory out and pass
 * pointers. Every function equals its reference in src/quant byte for byte, whatever the input: NaN, infinities and
 * denormals included.
 *
 * A *run* is a row of elements that share one scale; *columns* are the [K, N] form with a scale for each of N columns,
 * walked along the rows as they lie in memory, so that nothing is transposed.
 */

// x + 1.5·2^23 leaves a float32 no bits for a fraction, rounding half to even; its low byte is then the integer's.
const TO_INTEGER: f32 = 12582912.0;
const FLOAT32_MAX: f32 = 3.4028234663852886e38;

/** |x| where x is finite, 0 elsewhere. */
function magnitudes(at: usize): v128 {
  const x = v128.and(v128.load(at), i32x4.splat(0x7fffffff));
  return v128.and(x, f32x4.le(x, f32x4.splat(FLOAT32_MAX)));
}

/** x where it is finite, 0 elsewhere. */
function finites(at: usize): v128 {
  const x = v128.load(at);
  return v128.and(x, f32x4.le(f32x4.abs(x), f32x4.splat(FLOAT32_MAX)));
}

function magnitude(at: usize): f32 {
  const x = abs<f32>(load<f32>(at));
  return x <= FLOAT32_MAX ? x : 0;
}

function finite(at: usize): f32 {
  const x = load<f32>(at);
  return abs<f32>(x) <= FLOAT32_MAX ? x : 0;
}

function greatest(v: v128): f32 {
  return max<f32>(
    max<f32>(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)),
    max<f32>(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)),
  );
}

/** Greatest |x| of a run's finite elements, at least `known`. */
export function absmaxRun(x: usize, count: i32, known: f32): f32 {
  const end = x + ((<usize>count) << 2);
  let a = f32x4.splat(known);
  let b = a;
  let at = x;
  for (; at + 32 <= end; at += 32) {
    a = f32x4.pmax(a, magnitudes(at));
    b = f32x4.pmax(b, magnitudes(at + 16));
  }
  let result = greatest(f32x4.pmax(a, b));
  for (; at < end; at += 4) result = max<f32>(result, magnitude(at));
  return result;
}

/** Widens the float32 pair [min, max] at `range` to hold a run's finite elements. */
export function rangeRun(x: usize, count: i32, range: usize): void {
  const end = x + ((<usize>count) << 2);
  let least = load<f32>(range);
  let most = load<f32>(range, 4);
  let low = f32x4.splat(least);
  let high = f32x4.splat(most);
  let at = x;
  for (; at + 16 <= end; at += 16) {
    const v = finites(at);
    low = f32x4.pmin(low, v);
    high = f32x4.pmax(high, v);
  }
  least = -greatest(f32x4.neg(low));
  most = greatest(high);
  for (; at < end; at += 4) {
    const v = finite(at);
    least = min<f32>(least, v);
    most = max<f32>(most, v);
  }
  store<f32>(range, least);
  store<f32>(range, most, 4);
}

/** Raises the `columns` float32 values at `result` to the greatest |x| of each column's finite elements. */
export function absmaxColumns(x: usize, rows: i32, columns: i32, result: usize): void {
  const stride = (<usize>columns) << 2;
  let row = 0;
  // Four rows at a time: the running result is then loaded and stored once for four.
  for (; row + 4 <= rows; row += 4) {
    const first = x + <usize>row * stride;
    let offset: usize = 0;
    for (; offset + 16 <= stride; offset += 16) {
      const at = first + offset;
      const a = f32x4.pmax(magnitudes(at), magnitudes(at + stride));
      const b = f32x4.pmax(magnitudes(at + 2 * stride), magnitudes(at + 3 * stride));
      v128.store(result + offset, f32x4.pmax(v128.load(result + offset), f32x4.pmax(a, b)));
    }
    for (; offset < stride; offset += 4) {
      const at = first + offset;
      const a = max<f32>(magnitude(at), magnitude(at + stride));
      const b = max<f32>(magnitude(at + 2 * stride), magnitude(at + 3 * stride));
      store<f32>(result + offset, max<f32>(load<f32>(result + offset), max<f32>(a, b)));
    }
  }
  for (; row < rows; row++) {
    const first = x + <usize>row * stride;
    let offset: usize = 0;
    for (; offset + 16 <= stride; offset += 16) {
      v128.store(result + offset, f32x4.pmax(v128.load(result + offset), magnitudes(first + offset)));
    }
    for (; offset < stride; offset += 4) {
      store<f32>(result + offset, max<f32>(load<f32>(result + offset), magnitude(first + offset)));
    }
  }
}

/** Widens the ranges of `columns` columns: minima at `least`, maxima at `most`. */
export function rangeColumns(x: usize, rows: i32, columns: i32, least: usize, most: usize): void {
  const stride = (<usize>columns) << 2;
  for (let row = 0; row < rows; row++) {
    const first = x + <usize>row * stride;
    let offset: usize = 0;
    for (; offset + 16 <= stride; offset += 16) {
      const v = finites(first + offset);
      v128.store(least + offset, f32x4.pmin(v128.load(least + offset), v));
      v128.store(most + offset, f32x4.pmax(v128.load(most + offset), v));
    }
    for (; offset < stride; offset += 4) {
      const v = finite(first + offset);
      store<f32>(least + offset, min<f32>(load<f32>(least + offset), v));
      store<f32>(most + offset, max<f32>(load<f32>(most + offset), v));
    }
  }
}

/** Four elements to integers, one in the low byte of each lane, the other bytes zero. */
function toBytes(at: usize, scale: v128, low: v128, high: v128, zero: v128): v128 {
  const quotient = f32x4.div(v128.load(at), scale);
  // pmax keeps its first operand when the second is NaN: NaN becomes the lowest integer.
  const inside = f32x4.pmin(high, f32x4.pmax(low, quotient));
  const integer = i32x4.add(f32x4.add(inside, f32x4.splat(TO_INTEGER)), zero);
  return v128.and(integer, i32x4.splat(0xff));
}

function toByte(at: usize, scale: f32, low: f32, high: f32, zero: i32): i32 {
  const quotient = load<f32>(at) / scale;
  const above = quotient > low ? quotient : low;
  return <i32>nearest<f32>(above < high ? above : high) + zero;
}

/**
 * Quantizes a run to bytes (int8 or uint8) with one scale.
 * @param lowest @param highest the integers that may be used, zero point included.
 */
export function quantizeRun(
  x: usize,
  count: i32,
  result: usize,
  scale: f32,
  zero: i32,
  lowest: i32,
  highest: i32,
): void {
  const low = <f32>(lowest - zero);
  const high = <f32>(highest - zero);
  const scales = f32x4.splat(scale);
  const lows = f32x4.splat(low);
  const highs = f32x4.splat(high);
  const zeros = i32x4.splat(zero);
  const end = x + ((<usize>count) << 2);
  let at = x;
  let to = result;
  for (; at + 64 <= end; at += 64, to += 16) {
    const a = i16x8.narrow_i32x4_u(
      toBytes(at, scales, lows, highs, zeros),
      toBytes(at + 16, scales, lows, highs, zeros),
    );
    const b = i16x8.narrow_i32x4_u(
      toBytes(at + 32, scales, lows, highs, zeros),
      toBytes(at + 48, scales, lows, highs, zeros),
    );
    v128.store(to, i8x16.narrow_i16x8_u(a, b));
  }
  for (; at < end; at += 4, to++) store<u8>(to, <u8>toByte(at, scale, low, high, zero));
}

/**
 * Quantizes `rows` rows of `columns` elements to bytes, with a float32 scale for each column at `scales` and one zero
 * point for all.
 */
export function quantizeColumns(
  x: usize,
  rows: i32,
  columns: i32,
  result: usize,
  scales: usize,
  zero: i32,
  lowest: i32,
  highest: i32,
): void {
  const low = <f32>(lowest - zero);
  const high = <f32>(highest - zero);
  const lows = f32x4.splat(low);
  const highs = f32x4.splat(high);
  const zeros = i32x4.splat(zero);
  const stride = (<usize>columns) << 2;
  let to = result;
  for (let row = 0; row < rows; row++) {
    const first = x + <usize>row * stride;
    let offset: usize = 0;
    for (; offset + 64 <= stride; offset += 64, to += 16) {
      const at = first + offset;
      const s = scales + offset;
      const a = i16x8.narrow_i32x4_u(
        toBytes(at, v128.load(s), lows, highs, zeros),
        toBytes(at + 16, v128.load(s, 16), lows, highs, zeros),
      );
      const b = i16x8.narrow_i32x4_u(
        toBytes(at + 32, v128.load(s, 32), lows, highs, zeros),
        toBytes(at + 48, v128.load(s, 48), lows, highs, zeros),
      );
      v128.store(to, i8x16.narrow_i16x8_u(a, b));
    }
    for (; offset < stride; offset += 4, to++) {
      store<u8>(to, <u8>toByte(first + offset, load<f32>(scales + offset), low, high, zero));
    }
  }
}

/** {@link quantizeColumns} with an int32 zero point for each column at `zeros`. */
export function quantizeColumnsAffine(
  x: usize,
  rows: i32,
  columns: i32,
  result: usize,
  scales: usize,
  zeros: usize,
  lowest: i32,
  highest: i32,
): void {
  const lows = i32x4.splat(lowest);
  const highs = i32x4.splat(highest);
  const stride = (<usize>columns) << 2;
  let to = result;
  for (let row = 0; row < rows; row++) {
    const first = x + <usize>row * stride;
    let offset: usize = 0;
    for (; offset + 16 <= stride; offset += 16, to += 4) {
      const zero = v128.load(zeros + offset);
      const low = f32x4.convert_i32x4_s(i32x4.sub(lows, zero));
      const high = f32x4.convert_i32x4_s(i32x4.sub(highs, zero));
      const four = toBytes(first + offset, v128.load(scales + offset), low, high, zero);
      const two = i16x8.narrow_i32x4_u(four, four);
      v128.store32_lane(to, i8x16.narrow_i16x8_u(two, two), 0);
    }
    for (; offset < stride; offset += 4, to++) {
      const zero = load<i32>(zeros + offset);
      const low = <f32>(lowest - zero);
      const high = <f32>(highest - zero);
      store<u8>(to, <u8>toByte(first + offset, load<f32>(scales + offset), low, high, zero));
    }
  }
}
