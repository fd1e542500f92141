/**
 * Weights in blocks: scale and zero point of each, integers packed. Equals src/quant/block-fit.ts and block-weight.ts
 * byte for byte; the names are theirs.
 */
import { halfBits, roundToHalf } from './lanes/half';
import { finiteTile, PITCH, tileOfColumns, tileOfRuns, turnBytes } from './lanes/tile';

const FLOAT32_MAX: f32 = 3.4028234663852886e38;
const BELOW_HALF: f32 = 0.4999999701976776;
const TO_INTEGER: f32 = 8388608.0;
const NARROWER: f32 = 0.9;
const SHRINKAGE: f32 = 0.1;
const ATTEMPTS = 4;
const MSE = 1;
const HQQ = 2;

// Rooms of the scratch memory, in bytes from its start.
const TILE: usize = 0;
const FINITES: usize = 16384;
const RUNS: usize = 32768;
const RUN_PITCH: usize = 1024 + 64;
const BYTES: usize = RUNS + 16 * RUN_PITCH;
const SPARE: usize = BYTES + 4096;
const SCALES: usize = SPARE + 512;
const ZEROS: usize = SCALES + 64;
/** Bytes of scratch memory that {@link quantizeBlocks} needs. */
export const SCRATCH_BYTES: i32 = 57344;

// How the weight at hand is quantized: set once, read by all.
let bits: i32 = 4;
let symmetric: bool = true;
let method: i32 = 0;
let half: bool = false;
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

function reciprocal(scale: v128): v128 {
  const inverse = f32x4.div(f32x4.splat(1), scale);
  return v128.and(inverse, isFinite4(inverse));
}

/** A scale as it will be stored; 0 where it, or its reciprocal, is not finite. */
function stored(scale: v128): v128 {
  const kept = half ? v128.and(roundToHalf(scale), f32x4.eq(scale, scale)) : scale;
  return v128.and(kept, f32x4.ne(reciprocal(kept), f32x4.splat(0)));
}

function integers(x: v128, inverse: v128, zero: v128): v128 {
  return roundUp(clamp(f32x4.add(f32x4.mul(x, inverse), zero)));
}

/** Finds scale and zero point of four blocks, the four columns at `x`. */
function fitFour(x: usize, rows: i32, scaleAt: usize, zeroAt: usize): void {
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
    const least = attempts(x, end, rows, scale, zero, f32x4.splat(Infinity), scaleAt, zeroAt);
    attempts(x, end, rows, narrow, narrowZero, least, scaleAt, zeroAt);
    return;
  }
  v128.store(scaleAt, scale);
  v128.store(zeroAt, zero);
}

/** Fits integers and (scale, zero point) to each other in turn; keeps what is better than `least`, and returns that. */
function attempts(
  x: usize,
  end: usize,
  rows: i32,
  firstScale: v128,
  firstZero: v128,
  least: v128,
  scaleAt: usize,
  zeroAt: usize,
): v128 {
  let scale = firstScale;
  let zero = firstZero;
  let best = least;
  const shrink = method === HQQ;
  const nothing = f32x4.splat(0);
  const count = f32x4.splat(<f32>rows);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const inverse = reciprocal(scale);
    const size = f32x4.abs(scale);
    const steps = f32x4.abs(inverse);
    let error = nothing;
    let u = nothing;
    let t = nothing;
    let uu = nothing;
    let ut = nothing;
    for (let at = x; at < end; at += PITCH) {
      const value = v128.load(at);
      const q = f32x4.sub(integers(value, inverse, zero), zero);
      const missing = f32x4.sub(value, f32x4.mul(q, scale));
      error = f32x4.add(error, f32x4.mul(missing, missing));
      const goal = shrink ? f32x4.sub(value, setAside(missing, steps, size)) : value;
      u = f32x4.add(u, q);
      t = f32x4.add(t, goal);
      uu = f32x4.add(uu, f32x4.mul(q, q));
      ut = f32x4.add(ut, f32x4.mul(q, goal));
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

function setAside(missing: v128, inverse: v128, size: v128): v128 {
  const steps = f32x4.mul(f32x4.abs(missing), inverse);
  const root = f32x4.sqrt(f32x4.sqrt(steps));
  const kept = f32x4.sub(steps, f32x4.mul(f32x4.div(f32x4.splat(1), root), f32x4.splat(SHRINKAGE)));
  const aside = f32x4.mul(f32x4.pmax(f32x4.splat(0), kept), size);
  return v128.or(v128.andnot(aside, i32x4.splat(0x80000000)), v128.and(missing, i32x4.splat(0x80000000)));
}

/** Integers of a tile as packed bytes, a row of sixteen columns for each byte; rows behind the last are zero points. */
function packTile(tile: usize, rows: i32, blockSize: i32, scales: usize, zeros: usize, bytes: usize): void {
  const perByte = 8 / bits;
  const place = <f32>(1 << bits);
  for (let lane: usize = 0; lane < PITCH; lane += 16) {
    const inverse = reciprocal(v128.load(scales + lane));
    const zero = v128.load(zeros + lane);
    // Until they are narrowed together, a row of bytes is a row of the tile, behind what was read of it.
    for (let k = 0; k < blockSize; k += perByte) {
      let sum = f32x4.splat(TO_INTEGER);
      let weight: f32 = 1;
      for (let j = 0; j < perByte; j++) {
        const row = k + j;
        const q = row < rows ? integers(v128.load(tile + <usize>row * PITCH + lane), inverse, zero) : zero;
        sum = f32x4.add(sum, f32x4.mul(q, f32x4.splat(weight)));
        weight *= place;
      }
      v128.store(tile + <usize>(k / perByte) * PITCH + lane, v128.and(sum, i32x4.splat(0xff)));
    }
  }
  for (let row = 0; row < blockSize / perByte; row++) {
    const at = tile + <usize>row * PITCH;
    const a = i16x8.narrow_i32x4_u(v128.load(at), v128.load(at, 16));
    const b = i16x8.narrow_i32x4_u(v128.load(at, 32), v128.load(at, 48));
    v128.store(bytes + ((<usize>row) << 4), i8x16.narrow_i16x8_u(a, b));
  }
}

/**
 * Quantizes block `block` of up to any number of columns (`columns` true: [K, N] in memory) or of up to sixteen runs
 * ([N, K]).
 * @param x element 0 of the block in the first column or run
 * @param stride bytes from one row, or run, to the next
 * @param count columns or runs @param rows elements of the block that there are
 * @param q where the block's bytes of the first column go, those of the next `qStride` bytes on; `scale` and `zero` alike
 * @param zero the byte of the first column that holds the block's zero point, `shift` bits up; not read when symmetric
 */
export function quantizeBlocks(
  columns: bool,
  x: usize,
  stride: usize,
  count: i32,
  rows: i32,
  blockSize: i32,
  q: usize,
  qStride: usize,
  scale: usize,
  scaleStride: usize,
  zero: usize,
  zeroStride: usize,
  shift: i32,
  scratch: usize,
): void {
  const tile = scratch + TILE;
  const width: usize = half ? 2 : 4;
  for (let first = 0; first < count; first += 16) {
    const valid = min(16, count - first);
    const isWhole = columns
      ? tileOfColumns(x + <usize>first * width, stride, rows, valid, half, tile)
      : tileOfRuns(x + <usize>first * stride, stride, rows, valid, half, tile, scratch + RUNS, RUN_PITCH);
    let from = tile;
    if (!isWhole) {
      from = scratch + FINITES;
      finiteTile(tile, rows, from);
    }
    for (let lane: usize = 0; lane < PITCH; lane += 16) {
      fitFour(from + lane, rows, scratch + SCALES + lane, scratch + ZEROS + lane);
    }
    packTile(tile, rows, blockSize, scratch + SCALES, scratch + ZEROS, scratch + BYTES);
    const at = q + <usize>first * qStride;
    turnBytes(scratch + BYTES, (blockSize * bits) / 8, valid, at, qStride, scratch + SPARE);
    for (let c = 0; c < valid; c++) {
      const column = <usize>(first + c);
      const value = load<f32>(scratch + SCALES + ((<usize>c) << 2));
      if (half) store<u16>(scale + column * scaleStride, halfBits(value));
      else store<f32>(scale + column * scaleStride, value);
      if (symmetric) continue;
      const place = zero + column * zeroStride;
      const mask = ((1 << bits) - 1) << shift;
      const point = (<i32>load<f32>(scratch + ZEROS + ((<usize>c) << 2))) << shift;
      store<u8>(place, <u8>((load<u8>(place) & ~mask) | point));
    }
  }
}
