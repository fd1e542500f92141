/**
 * Scales and zero points of blocks, four side by side in the columns of a tile. Equals src/quant/block-fit.ts byte for
 * byte; the names are its own.
 */
import { roundToHalf } from './half';
import { PITCH } from './tile';

const FLOAT32_MAX: f32 = 3.4028234663852886e38;
const BELOW_HALF: f32 = 0.4999999701976776;
const NARROWER: f32 = 0.9;
const SHRINKAGE: f32 = 0.1;
const ATTEMPTS = 3;
const MSE = 1;
const HQQ = 2;

// How the weight at hand is quantized: set once, read by all.
export let bits: i32 = 4;
export let symmetric: bool = true;
let method: i32 = 0;
export let half: bool = false;
let full: f32 = 15;
let middle: f32 = 8;

/** Says how the blocks that follow are quantized. @param how 0 `rtn`, 1 `mse`, 2 `hqq` @param isHalf float16 weights */
export function setBlockGrid(width: i32, isSymmetric: bool, how: i32, isHalf: bool): void {
  bits = width;
  symmetric = isSymmetric;
  method = how;
  half = isHalf;
  full = <f32>((1 << width) - 1);
  middle = <f32>(1 << (width - 1));
}

function clamp(x: v128): v128 {
  return f32x4.pmin(f32x4.splat(full), f32x4.pmax(f32x4.splat(0), x));
}

function roundUp(x: v128): v128 {
  return f32x4.trunc(f32x4.add(x, f32x4.splat(BELOW_HALF)));
}

function isFinite4(x: v128): v128 {
  return f32x4.le(f32x4.abs(x), f32x4.splat(FLOAT32_MAX));
}

export function reciprocal(scale: v128): v128 {
  const inverse = f32x4.div(f32x4.splat(1), scale);
  return v128.and(inverse, isFinite4(inverse));
}

/** A scale as it will be stored; 0 where it, or its reciprocal, is not finite. */
function stored(scale: v128): v128 {
  const kept = half ? v128.and(roundToHalf(scale), f32x4.eq(scale, scale)) : scale;
  return v128.and(kept, f32x4.ne(reciprocal(kept), f32x4.splat(0)));
}

export function integers(x: v128, inverse: v128, zero: v128): v128 {
  return roundUp(clamp(f32x4.add(f32x4.mul(x, inverse), zero)));
}

/** Finds scale and zero point of four blocks, the four columns at `x`. */
export function fitFour(x: usize, rows: i32, scaleAt: usize, zeroAt: usize): void {
  const end = x + <usize>rows * PITCH;
  let low = f32x4.splat(FLOAT32_MAX);
  let high = f32x4.splat(-FLOAT32_MAX);
  for (let at = x; at < end; at += PITCH) {
    const value = v128.load(at);
    low = f32x4.pmin(low, value);
    high = f32x4.pmax(high, value);
  }
  let scale: v128;
  let zero = f32x4.splat(middle);
  if (symmetric) {
    const most = v128.bitselect(high, low, f32x4.gt(f32x4.abs(high), f32x4.abs(low)));
    scale = f32x4.add(f32x4.div(f32x4.neg(most), f32x4.splat(middle)), f32x4.splat(0));
  } else {
    low = f32x4.pmin(f32x4.splat(0), low);
    high = f32x4.pmax(f32x4.splat(0), high);
    const steps = f32x4.splat(full);
    const span = f32x4.sub(high, low);
    const parts = f32x4.sub(f32x4.div(high, steps), f32x4.div(low, steps));
    scale = v128.bitselect(f32x4.div(span, steps), parts, f32x4.le(span, f32x4.splat(FLOAT32_MAX)));
    const offset = f32x4.sub(f32x4.splat(0), f32x4.div(low, scale));
    zero = roundUp(clamp(v128.and(offset, f32x4.ne(scale, f32x4.splat(0)))));
  }
  scale = stored(scale);
  if (method === MSE || method === HQQ) {
    const narrow = stored(f32x4.mul(scale, f32x4.splat(NARROWER)));
    let narrowZero = zero;
    if (!symmetric) {
      const centre = f32x4.add(f32x4.mul(low, f32x4.splat(0.5)), f32x4.mul(high, f32x4.splat(0.5)));
      const offset = f32x4.mul(centre, reciprocal(narrow));
      narrowZero = roundUp(clamp(f32x4.sub(f32x4.splat(full / 2), offset)));
    }
    v128.store(scaleAt, scale);
    v128.store(zeroAt, zero);
    let sum = f32x4.splat(0);
    let squares = f32x4.splat(0);
    for (let at = x; at < end; at += PITCH) {
      const value = v128.load(at);
      sum = f32x4.add(sum, value);
      squares = f32x4.add(squares, f32x4.mul(value, value));
    }
    const none = f32x4.splat(Infinity);
    const best = attempts(x, end, rows, scale, zero, none, sum, squares, scaleAt, zeroAt);
    attempts(x, end, rows, narrow, narrowZero, best, sum, squares, scaleAt, zeroAt);
    return;
  }
  v128.store(scaleAt, scale);
  v128.store(zeroAt, zero);
}

/**
 * Fits integers and (scale, zero point) to each other in turn; keeps what is better than
 * `bound`, and returns that.
 * @param sum @param squares Σ x and Σ x² of each block
 */
function attempts(
  x: usize,
  end: usize,
  rows: i32,
  firstScale: v128,
  firstZero: v128,
  bound: v128,
  sum: v128,
  squares: v128,
  scaleAt: usize,
  zeroAt: usize,
): v128 {
  let scale = firstScale;
  let zero = firstZero;
  let best = bound;
  const nothing = f32x4.splat(0);
  const count = f32x4.splat(<f32>rows);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const inverse = reciprocal(scale);
    const least = f32x4.neg(zero);
    const most = f32x4.sub(f32x4.splat(full), zero);
    let error = nothing;
    let u = nothing;
    let t = nothing;
    let uu = nothing;
    let ut = nothing;
    if (method === HQQ) {
      const size = f32x4.abs(scale);
      const steps = f32x4.abs(inverse);
      for (let at = x; at < end; at += PITCH) {
        const value = v128.load(at);
        const q = nearestBetween(f32x4.mul(value, inverse), least, most);
        const missing = f32x4.sub(value, f32x4.mul(q, scale));
        error = f32x4.add(error, f32x4.mul(missing, missing));
        const goal = f32x4.sub(value, setAside(missing, steps, size));
        u = f32x4.add(u, q);
        t = f32x4.add(t, goal);
        uu = f32x4.add(uu, f32x4.mul(q, q));
        ut = f32x4.add(ut, f32x4.mul(q, goal));
      }
    } else {
      for (let at = x; at < end; at += PITCH) {
        const value = v128.load(at);
        const q = nearestBetween(f32x4.mul(value, inverse), least, most);
        u = f32x4.add(u, q);
        uu = f32x4.add(uu, f32x4.mul(q, q));
        ut = f32x4.add(ut, f32x4.mul(q, value));
      }
      t = sum;
      const explained = f32x4.sub(f32x4.mul(f32x4.splat(2), ut), f32x4.mul(scale, uu));
      error = f32x4.sub(squares, f32x4.mul(scale, explained));
    }
    const better = f32x4.lt(error, best);
    best = v128.bitselect(error, best, better);
    v128.store(scaleAt, v128.bitselect(scale, v128.load(scaleAt), better));
    v128.store(zeroAt, v128.bitselect(zero, v128.load(zeroAt), better));
    if (symmetric) {
      const next = stored(f32x4.div(ut, uu));
      const fits = v128.and(f32x4.gt(uu, nothing), f32x4.ne(next, nothing));
      scale = v128.bitselect(next, scale, fits);
      continue;
    }
    const spread = f32x4.sub(uu, f32x4.div(f32x4.mul(u, u), count));
    const slope = f32x4.div(f32x4.sub(ut, f32x4.div(f32x4.mul(u, t), count)), spread);
    const shift = f32x4.div(f32x4.sub(u, f32x4.div(t, slope)), count);
    const nextZero = roundUp(clamp(f32x4.add(zero, shift)));
    const moved = f32x4.sub(nextZero, zero);
    const above = f32x4.sub(ut, f32x4.mul(moved, t));
    const twice = f32x4.mul(f32x4.mul(f32x4.splat(2), moved), u);
    const below = f32x4.add(f32x4.sub(uu, twice), f32x4.mul(f32x4.mul(count, moved), moved));
    const next = stored(f32x4.div(above, below));
    const turns = v128.and(f32x4.gt(spread, nothing), f32x4.gt(slope, nothing));
    const fits = v128.and(turns, v128.and(f32x4.gt(below, nothing), f32x4.gt(next, nothing)));
    scale = v128.bitselect(next, scale, fits);
    zero = v128.bitselect(nextZero, zero, fits);
  }
  return best;
}

/** The nearest integers between bounds, halves to even; NaN becomes `least`. */
function nearestBetween(x: v128, least: v128, most: v128): v128 {
  return f32x4.nearest(f32x4.pmin(most, f32x4.pmax(least, x)));
}

function setAside(missing: v128, inverse: v128, size: v128): v128 {
  const steps = f32x4.mul(f32x4.abs(missing), inverse);
  const root = f32x4.sqrt(f32x4.sqrt(steps));
  const kept = f32x4.sub(steps, f32x4.mul(f32x4.div(f32x4.splat(1), root), f32x4.splat(SHRINKAGE)));
  const aside = f32x4.mul(f32x4.pmax(f32x4.splat(0), kept), size);
  return v128.or(v128.andnot(aside, i32x4.splat(0x80000000)), v128.and(missing, i32x4.splat(0x80000000)));
}
