/** float16 in four lanes: exact widening, and rounding half to even. */

const FLOAT16_MAX: f32 = 65504.0;
/** Smallest normal float16. */
const FLOAT16_TINY: f32 = 0.00006103515625;

/** float32 values of four float16 bit patterns, one in the low half of each lane. Exact, denormals included. */
export function widen(half: v128): v128 {
  const sign = i32x4.shl(v128.and(half, i32x4.splat(0x8000)), 16);
  const magnitude = i32x4.shl(v128.and(half, i32x4.splat(0x7fff)), 13);
  const exponent = v128.and(magnitude, i32x4.splat(0x0f800000));
  const bias = i32x4.splat(112 << 23);
  const normal = i32x4.add(magnitude, bias);
  const special = i32x4.add(normal, v128.and(bias, i32x4.eq(exponent, i32x4.splat(0x0f800000))));
  // 2^-14 added to a denormal makes it normal; taking it away again is exact.
  const least = i32x4.splat(113 << 23);
  const denormal = f32x4.sub(i32x4.add(magnitude, least), least);
  return v128.or(v128.bitselect(denormal, special, i32x4.eq(exponent, i32x4.splat(0))), sign);
}

/** Four float32 values rounded to float16, as float32; beyond ±65504 saturated. NaN becomes 65504. */
export function roundToHalf(x: v128): v128 {
  const sign = v128.and(x, i32x4.splat(0x80000000));
  const a = f32x4.pmin(f32x4.splat(FLOAT16_MAX), f32x4.abs(x));
  const odd = v128.and(i32x4.shr_u(a, 13), i32x4.splat(1));
  const normal = v128.andnot(i32x4.add(i32x4.add(a, i32x4.splat(0xfff)), odd), i32x4.splat(0x1fff));
  // Between ½ and 1 the steps of float32 are those of float16's denormals.
  const bias = f32x4.splat(0.75);
  const denormal = f32x4.sub(f32x4.add(a, bias), bias);
  return v128.or(v128.bitselect(denormal, normal, f32x4.lt(a, f32x4.splat(FLOAT16_TINY))), sign);
}

/** The bit pattern of a value that is a float16 already. */
export function halfBits(x: f32): u16 {
  const bits = reinterpret<u32>(x);
  const sign = (bits >> 16) & 0x8000;
  const a = abs<f32>(x);
  const rest = a < FLOAT16_TINY ? <u32>(a * 16777216.0) : ((bits & 0x7fffffff) >> 13) - (112 << 10);
  return <u16>(sign | rest);
}

/** Widens `count` float16 elements. */
export function widenRun(x: usize, count: i32, result: usize): void {
  let at = x;
  let to = result;
  const end = x + ((<usize>count) << 1);
  for (; at + 8 <= end; at += 8, to += 16) {
    v128.store(to, widen(i32x4.extend_low_i16x8_u(v128.load64_zero(at))));
  }
  for (; at < end; at += 2, to += 4) {
    store<f32>(to, f32x4.extract_lane(widen(i32x4.splat(<i32>load<u16>(at))), 0));
  }
}
