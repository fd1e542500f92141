/** float32 to 16 bits, half to even. Equals src/ir/narrowed.ts bit for bit. */

const INFINITE: i32 = 0x7f800000;

/** Four float32 values as float16 patterns in the low halves of the lanes. */
function toHalf(x: v128): v128 {
  const bits = v128.and(x, i32x4.splat(0x7fffffff));
  const sign = v128.and(i32x4.shr_u(x, 16), i32x4.splat(0x8000));
  const odd = v128.and(i32x4.shr_u(bits, 13), i32x4.splat(1));
  const rounded = i32x4.add(i32x4.add(bits, i32x4.splat(0xfff)), odd);
  const normal = i32x4.sub(i32x4.shr_u(rounded, 13), i32x4.splat(112 << 10));
  // Between ½ and 1 the steps of float32 are those of float16's denormals.
  const half = f32x4.splat(0.5);
  const denormal = i32x4.sub(f32x4.add(bits, half), half);
  const small = i32x4.lt_s(bits, i32x4.splat(113 << 23));
  // From 65520 on the nearest float16 is infinite.
  const large = i32x4.ge_s(bits, i32x4.splat(0x477ff000));
  const nan = i32x4.gt_s(bits, i32x4.splat(INFINITE));
  let result = v128.bitselect(denormal, normal, small);
  result = v128.bitselect(i32x4.splat(0x7c00), result, large);
  return v128.bitselect(i32x4.splat(0x7e00), v128.or(result, sign), nan);
}

/** Four float32 values as bfloat16 patterns in the low halves of the lanes. */
function toBfloat(x: v128): v128 {
  const odd = v128.and(i32x4.shr_u(x, 16), i32x4.splat(1));
  const rounded = i32x4.shr_u(i32x4.add(i32x4.add(x, i32x4.splat(0x7fff)), odd), 16);
  const nan = i32x4.gt_s(v128.and(x, i32x4.splat(0x7fffffff)), i32x4.splat(INFINITE));
  return v128.bitselect(i32x4.splat(0x7fc0), rounded, nan);
}

/** Narrows `count` elements; `result` may be `x`. */
export function narrow(x: usize, count: i32, result: usize, bfloat: bool): void {
  let at = x;
  let to = result;
  const end = x + ((<usize>count) << 2);
  for (; at + 32 <= end; at += 32, to += 16) {
    const low = v128.load(at);
    const high = v128.load(at, 16);
    const a = bfloat ? toBfloat(low) : toHalf(low);
    const b = bfloat ? toBfloat(high) : toHalf(high);
    v128.store(to, i16x8.narrow_i32x4_u(a, b));
  }
  for (; at < end; at += 4, to += 2) {
    const one = v128.load32_splat(at);
    store<u16>(to, <u16>i32x4.extract_lane(bfloat ? toBfloat(one) : toHalf(one), 0));
  }
}
