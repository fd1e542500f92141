/** Samples of one input, read piecewise: an array on disk, pictures, windows of sound or of tokens. */
import type { Hash } from 'node:crypto';
import { byteLengthOf, type DType } from '../ir/dtype.js';
import { Tensor } from '../ir/tensor.js';
import { elementCount } from '../ir/type.js';

export interface RowSource {
  /** File or folder that they come from, for messages. */
  readonly file: string;
  readonly dtype: DType;
  /** The first axis counts samples. */
  readonly shape: readonly number[];
  /** Floats that need no look for NaN and infinity: they were integers, or were looked through already. */
  readonly finite?: boolean;
  /** Rows `start` to `start + count` along the first axis, in row-major order and little-endian. */
  rows(start: number, count: number): Tensor | Promise<Tensor>;
  /** Adds to a hash what decides the first `count` rows. */
  hashRows(hash: Hash, count: number): void;
  /** The file that one row comes from, where each has its own; relative to `file`, with slashes. */
  fileOf?(row: number): string;
  /** How many elements of a row are real; the others fill it up. Default: all. */
  lengthOf?(row: number): number;
}

/** Bytes that rows are read in, where all of them are walked. */
const CHUNK_BYTES = 2 ** 22;

/** First row and number of rows of pieces that are read well at once. */
export function* chunksOf(
  source: Pick<RowSource, 'dtype' | 'shape'>,
  count: number,
): IterableIterator<[number, number]> {
  const row = byteLengthOf(source.dtype, elementCount(source.shape.slice(1)) || 1);
  const most = Math.max(1, Math.floor(CHUNK_BYTES / row));
  for (let start = 0; start < count; start += most) yield [start, Math.min(most, count - start)];
}

/** Some rows of a source, as a source: those with these numbers, in this order. */
export function pickRows(source: RowSource, numbers: readonly number[]): RowSource {
  return {
    file: source.file,
    dtype: source.dtype,
    shape: [numbers.length, ...source.shape.slice(1)],
    ...(source.finite && { finite: true }),
    async rows(start, count) {
      const parts: Uint8Array[] = [];
      for (const number of numbers.slice(start, start + count)) {
        parts.push((await source.rows(number, 1)).bytes());
      }
      return Tensor.of(source.dtype, [count, ...source.shape.slice(1)], Buffer.concat(parts));
    },
    hashRows(hash, count) {
      hash.update(JSON.stringify(numbers.slice(0, count)));
      source.hashRows(hash, source.shape[0]!);
    },
    ...(source.fileOf && { fileOf: (row: number) => source.fileOf!(numbers[row]!) }),
    ...(source.lengthOf && { lengthOf: (row: number) => source.lengthOf!(numbers[row]!) }),
  };
}

/** `wanted` numbers below `count`, evenly spread: every part of a sorted set has its share. */
export function evenly(count: number, wanted: number): number[] {
  const some = Math.min(count, wanted);
  return Array.from({ length: some }, (_, i) => Math.floor(((i + 0.5) * count) / some));
}
