/** Writing segments at their offsets, many at a time: for an engine that writes tensors into the file by itself. */
import type { FileHandle } from 'node:fs/promises';
import type { Tensor } from '../ir/tensor.js';
import type { Segment } from './wire-write.js';

/** Writes a tensor's raw bytes into an existing file, from `offset` on. */
export type PlaceTensor = (
  tensor: Tensor,
  place: { readonly path: string; readonly offset: number },
) => Promise<void>;

/** Tensors asked for at once: enough for an engine to see how much there is to do, few enough to stop at a failure. */
const OUTSTANDING = 256;

/**
 * Fills an open, empty file of `length` bytes with segments that lie one after the other. Returns, or throws the first
 * error, only when nothing writes any more.
 */
export async function placeSegments(
  file: FileHandle,
  path: string,
  segments: readonly Segment[],
  length: number,
  options: { readonly place: PlaceTensor; readonly onBytes: (count: number) => void },
): Promise<void> {
  await file.truncate(length);
  const outstanding = new Set<Promise<void>>();
  const failures: unknown[] = [];
  let offset = 0;
  for (const segment of segments) {
    const at = offset;
    offset += segment.byteLength;
    const write =
      segment instanceof Uint8Array
        ? writeAt(file, segment, at)
        : options.place(segment, { path, offset: at });
    const settled: Promise<void> = write
      .then(
        () => options.onBytes(segment.byteLength),
        (error) => void failures.push(error),
      )
      .finally(() => outstanding.delete(settled));
    outstanding.add(settled);
    if (outstanding.size >= OUTSTANDING) await Promise.race(outstanding);
    if (failures.length > 0) break;
  }
  await Promise.all(outstanding);
  if (failures.length > 0) throw failures[0];
}

async function writeAt(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    done += (await file.write(bytes, done, bytes.byteLength - done, offset + done)).bytesWritten;
  }
}
