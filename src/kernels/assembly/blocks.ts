/** Weights in blocks: tiles filled, fitted and packed. Equals src/quant/block-weight.ts byte for byte. */
import { bits, fitFour, half, integers, reciprocal, symmetric } from './lanes/fit';
import { halfBits } from './lanes/half';
import { finiteTile, PITCH, tileOfColumns, tileOfRuns, turnBytes } from './lanes/tile';

export { setBlockGrid } from './lanes/fit';

const TO_INTEGER: f32 = 8388608.0;

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

/** Integers of a tile as packed bytes, a row of sixteen columns for each byte; rows behind the last are zero points. */
function packTile(tile: usize, rows: i32, blockSize: i32, scales: usize, zeros: usize, bytes: usize): void {
  const perByte = 8 / bits;
  const place = <f32>(1 << bits);
  for (let lane: usize = 0; lane < PITCH; lane += 16) {
    const inverse = reciprocal(v128.load(scales + lane));
    const zero = v128.load(zeros + lane);
    // Until they are narrowed together, a row of bytes is a row of the tile, behind what was read of it.
    let k = 0;
    if (bits === 4) {
      for (; k + 2 <= rows; k += 2) {
        const at = tile + <usize>k * PITCH + lane;
        const low = f32x4.add(integers(v128.load(at), inverse, zero), f32x4.splat(TO_INTEGER));
        const high = f32x4.mul(integers(v128.load(at, PITCH), inverse, zero), f32x4.splat(16));
        v128.store(tile + <usize>(k >> 1) * PITCH + lane, v128.and(f32x4.add(low, high), i32x4.splat(0xff)));
      }
    }
    for (; k < blockSize; k += perByte) {
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
