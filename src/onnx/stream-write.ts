/** Writing segments to a file one after the other, holding no more of them in memory than the largest needs. */
import { type FileHandle, open } from 'node:fs/promises';
import { QuantcError } from '../errors/error.js';
import type { FileRange, Tensor } from '../ir/tensor.js';
import type { Segment } from './wire-write.js';

/** Small runs are gathered up to this much and written in one call. */
const GATHER_BYTES = 4 << 20;
const GATHER_COUNT = 512;
/** Ranges of other files pass through a buffer of this size. */
const COPY_BYTES = 4 << 20;
/** Derived tensors that wait to be written may together take this much, or as much as one needs. */
const AHEAD_BYTES = 64 << 20;

export interface StreamOptions {
  /** Gives the bytes of a derived tensor. */
  readonly materialize: (tensor: Tensor) => Promise<Uint8Array>;
  /** How many derived tensors may be asked for at once. */
  readonly inFlight: number;
  readonly onBytes: (count: number) => void;
}

/**
 * Writes all segments to an open file, in order; derived tensors are asked for a few ahead.
 * @throws QuantcError F_TENSOR_SIZE when a derivation gives another number of bytes than promised, E_TENSOR_READ when a
 * range of another file cannot be read; errors of the file system as they come.
 */
export async function streamSegments(
  file: FileHandle,
  segments: readonly Segment[],
  options: StreamOptions,
): Promise<void> {
  const derived = segments.filter((each): each is Tensor => !(each instanceof Uint8Array) && isDerived(each));
  const ahead = new Ahead(derived, options);
  const buffers: Buffer[] = [];
  let run: Uint8Array[] = [];
  let runBytes = 0;
  const flush = async (): Promise<void> => {
    if (run.length === 0) return;
    await writeAll(file, run, runBytes);
    options.onBytes(runBytes);
    run = [];
    runBytes = 0;
  };
  try {
    for (const segment of segments) {
      if (!(segment instanceof Uint8Array) && segment.source.kind === 'file') {
        await flush();
        await copyRange(file, segment.source, buffers, options.onBytes);
        continue;
      }
      const bytes =
        segment instanceof Uint8Array ? segment : isDerived(segment) ? await ahead.next() : segment.bytes();
      run.push(bytes);
      runBytes += bytes.byteLength;
      if (runBytes >= GATHER_BYTES || run.length >= GATHER_COUNT) await flush();
    }
    await flush();
  } finally {
    await ahead.settle();
  }
}

const isDerived = (segment: Tensor): boolean => segment.source.kind === 'derived';

/** Asks for derived tensors in order, a few before their turn, within a limit of number and bytes. */
class Ahead {
  readonly #waiting: { readonly bytes: Promise<Uint8Array>; readonly size: number }[] = [];
  #asked = 0;
  #pending = 0;

  constructor(
    readonly tensors: readonly Tensor[],
    readonly options: StreamOptions,
  ) {}

  async next(): Promise<Uint8Array> {
    this.#fill();
    const first = this.#waiting.shift()!;
    const bytes = await first.bytes;
    this.#pending -= first.size;
    this.#fill();
    return bytes;
  }

  #fill(): void {
    while (this.#asked < this.tensors.length && this.#waiting.length < this.options.inFlight) {
      const tensor = this.tensors[this.#asked]!;
      const size = tensor.byteLength;
      if (this.#waiting.length > 0 && this.#pending + size > AHEAD_BYTES) return;
      this.#asked += 1;
      this.#pending += size;
      const bytes = this.#ask(tensor);
      // Should an earlier segment fail, nobody may ever await this one: `settle` does.
      bytes.catch(() => undefined);
      this.#waiting.push({ bytes, size });
    }
  }

  async #ask(tensor: Tensor): Promise<Uint8Array> {
    const bytes = await this.options.materialize(tensor);
    if (bytes.byteLength !== tensor.byteLength) {
      throw new QuantcError(
        'F_TENSOR_SIZE',
        `a derivation gave ${bytes.byteLength} bytes for ${tensor.dtype}[${tensor.shape}]`,
        { kind: 'fault', place: { value: tensor.name } },
      );
    }
    return bytes;
  }

  /** Waits until nothing is under way any more, whatever came of it. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#waiting.map((each) => each.bytes));
  }
}

/** Writes all of the pieces; one system call may take only a part of them. */
async function writeAll(file: FileHandle, pieces: Uint8Array[], total: number): Promise<void> {
  let left = total;
  let rest = pieces;
  while (left > 0) {
    let { bytesWritten } = await file.writev(rest);
    left -= bytesWritten;
    if (left === 0) return;
    let whole = 0;
    while (bytesWritten >= rest[whole]!.byteLength) bytesWritten -= rest[whole++]!.byteLength;
    rest = [rest[whole]!.subarray(bytesWritten), ...rest.slice(whole + 1)];
  }
}

/** Copies a range of another file through two buffers, made once for all ranges: one is read while the other is written. */
async function copyRange(
  file: FileHandle,
  range: FileRange,
  buffers: Buffer[],
  onBytes: (count: number) => void,
): Promise<void> {
  const source = await open(range.path, 'r').catch((cause) => {
    throw new QuantcError('E_TENSOR_READ', `cannot open ${range.path}`, {
      place: { file: range.path },
      cause,
    });
  });
  try {
    const read = async (done: number): Promise<Uint8Array> => {
      const turn = Math.floor(done / COPY_BYTES) % 2;
      buffers[turn] ??= Buffer.allocUnsafe(COPY_BYTES);
      const buffer = buffers[turn];
      const wanted = Math.min(COPY_BYTES, range.length - done);
      for (let got = 0; got < wanted; ) {
        const { bytesRead } = await source.read(buffer, got, wanted - got, range.offset + done + got);
        if (bytesRead === 0) {
          throw new QuantcError(
            'E_TENSOR_READ',
            `${range.path} ends before byte ${range.offset + range.length}`,
            {
              place: { file: range.path },
              hint: 'The file changed while it was read.',
            },
          );
        }
        got += bytesRead;
      }
      return buffer.subarray(0, wanted);
    };
    let next = read(0);
    for (let done = 0; done < range.length; done += COPY_BYTES) {
      const bytes = await next;
      if (done + COPY_BYTES < range.length) {
        next = read(done + COPY_BYTES);
        next.catch(() => undefined);
      }
      await writeAll(file, [bytes], bytes.byteLength);
      onBytes(bytes.byteLength);
    }
    await next;
  } finally {
    await source.close();
  }
}
