/**
 * Sixteen blocks side by side, as float32 rows of sixteen: element k of block c at row k, column c. Whatever a weight's
 * layout is, the arithmetic of blocks then runs down the columns, four or sixteen lanes at a time.
 */
import { widenRun } from './half';

export const LANES: usize = 16;
/** Bytes from one row of a tile to the next. */
export const PITCH: usize = 64;
const FINITE: i32 = 0x7f7fffff;

/**
 * Fills a tile from columns that lie side by side: [K, N] in memory.
 * @param x element 0 of the first column @param stride bytes from one row to the next
 * @param valid columns there are, up to 16; the others are filled with 0
 * @returns whether every element is finite
 */
export function tileOfColumns(x: usize, stride: usize, rows: i32, valid: i32, half: bool, tile: usize): bool {
  let most = i32x4.splat(0);
  for (let k = 0; k < rows; k++) {
    const from = x + <usize>k * stride;
    const to = tile + <usize>k * PITCH;
    if (valid < 16) partialRow(from, valid, half, to);
    else if (half) widenRun(from, 16, to);
    else memory.copy(to, from, 64);
    for (let lane: usize = 0; lane < PITCH; lane += 16) {
      most = i32x4.max_s(most, v128.and(v128.load(to + lane), i32x4.splat(0x7fffffff)));
    }
  }
  return !v128.any_true(i32x4.gt_s(most, i32x4.splat(FINITE)));
}

function partialRow(from: usize, valid: i32, half: bool, to: usize): void {
  memory.fill(to, 0, PITCH);
  if (half) widenRun(from, valid, to);
  else memory.copy(to, from, (<usize>valid) << 2);
}

/**
 * Fills a tile from runs: [N, K] in memory.
 * @param x element 0 of the first run @param stride bytes from one run to the next
 * @param run room for 16 runs of `rows` float32 elements, each of `pitch` bytes
 * @returns whether every element is finite
 */
export function tileOfRuns(
  x: usize,
  stride: usize,
  rows: i32,
  valid: i32,
  half: bool,
  tile: usize,
  run: usize,
  pitch: usize,
): bool {
  for (let c = 0; c < 16; c++) {
    const to = run + <usize>c * pitch;
    const from = x + <usize>c * stride;
    if (c >= valid) memory.fill(to, 0, (<usize>rows) << 2);
    else if (half) widenRun(from, rows, to);
    else memory.copy(to, from, (<usize>rows) << 2);
  }
  let most = i32x4.splat(0);
  for (let c: usize = 0; c < LANES; c += 4) {
    const first = run + c * pitch;
    let k = 0;
    for (; k + 4 <= rows; k += 4) {
      const at = first + ((<usize>k) << 2);
      const to = tile + <usize>k * PITCH + (c << 2);
      const a = v128.load(at);
      const b = v128.load(at + pitch);
      const d = v128.load(at + 2 * pitch);
      const e = v128.load(at + 3 * pitch);
      const ab = i32x4.max_s(magnitude(a), magnitude(b));
      most = i32x4.max_s(most, i32x4.max_s(ab, i32x4.max_s(magnitude(d), magnitude(e))));
      const low = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
      const high = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
      const lower = v128.shuffle<i32>(d, e, 0, 4, 1, 5);
      const higher = v128.shuffle<i32>(d, e, 2, 6, 3, 7);
      v128.store(to, v128.shuffle<i64>(low, lower, 0, 2));
      v128.store(to + PITCH, v128.shuffle<i64>(low, lower, 1, 3));
      v128.store(to + 2 * PITCH, v128.shuffle<i64>(high, higher, 0, 2));
      v128.store(to + 3 * PITCH, v128.shuffle<i64>(high, higher, 1, 3));
    }
    for (; k < rows; k++) {
      for (let lane: usize = 0; lane < 4; lane++) {
        const value = load<i32>(first + lane * pitch + ((<usize>k) << 2));
        most = i32x4.max_s(most, magnitude(i32x4.splat(value)));
        store<i32>(tile + <usize>k * PITCH + ((c + lane) << 2), value);
      }
    }
  }
  return !v128.any_true(i32x4.gt_s(most, i32x4.splat(FINITE)));
}

function magnitude(x: v128): v128 {
  return v128.and(x, i32x4.splat(0x7fffffff));
}

/** Copies a tile, 0 in the place of what is not finite. */
export function finiteTile(tile: usize, rows: i32, result: usize): void {
  const end = <usize>rows * PITCH;
  for (let at: usize = 0; at < end; at += 16) {
    const x = v128.load(tile + at);
    v128.store(result + at, v128.and(x, i32x4.le_s(magnitude(x), i32x4.splat(FINITE))));
  }
}

/**
 * Turns rows of sixteen bytes into sixteen columns: byte r of column c goes to `result + c · stride + r`.
 * @param bytes rows, of which there is room for a multiple of 16 @param valid columns that are written
 * @param spare 512 bytes
 */
export function turnBytes(
  bytes: usize,
  rows: i32,
  valid: i32,
  result: usize,
  stride: usize,
  spare: usize,
): void {
  for (let first = 0; first < rows; first += 16) {
    let from = bytes + <usize>first * LANES;
    let to = spare;
    // Rows i and i + 8 interleaved become rows 2i and 2i + 1: an address's eight bits, row before column, turn by one
    // place to the left. After four such turns row and column have changed places.
    for (let turn = 0; turn < 4; turn++) {
      for (let i: usize = 0; i < 128; i += 16) {
        const a = v128.load(from + i);
        const b = v128.load(from + i + 128);
        v128.store(
          to + 2 * i,
          v128.shuffle<i8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23),
        );
        v128.store(
          to + 2 * i + 16,
          v128.shuffle<i8>(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31),
        );
      }
      from = to;
      to = to === spare ? spare + 256 : spare;
    }
    const left = rows - first;
    for (let c = 0; c < valid; c++) {
      const at = result + <usize>c * stride + <usize>first;
      const column = from + ((<usize>c) << 4);
      if (left >= 16) v128.store(at, v128.load(column));
      else memory.copy(at, column, <usize>left);
    }
  }
}
