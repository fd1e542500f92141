/** Where bytes come from and where they go: files by range, or memory. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { QuantcError } from '../errors/error.js';
import { type FileRange, readPart } from '../ir/tensor.js';

/** Reads pieces of one tensor; positions count from the tensor's first byte. */
export interface ByteSource {
  readonly byteLength: number;
  /** Fills the whole target. */
  read(target: Uint8Array, position: number): void;
  close(): void;
}

/** Takes pieces of one tensor, each once, in any order. */
export interface ByteSink {
  write(bytes: Uint8Array, position: number): void;
  close(): void;
}

/** A place in a file that exists already. */
export interface FilePlace {
  readonly path: string;
  readonly offset: number;
}

/** @throws QuantcError E_TENSOR_READ when the file cannot be opened or ends early. */
export function fileSource(range: FileRange): ByteSource {
  const file = open(range.path, 'r');
  return {
    byteLength: range.length,
    read: (target, position) => readPart(file, target, range, position),
    close: () => closeSync(file),
  };
}

export const memorySource = (bytes: Uint8Array): ByteSource => ({
  byteLength: bytes.byteLength,
  read: (target, position) => target.set(bytes.subarray(position, position + target.length)),
  close: () => {},
});

/** @throws QuantcError E_TENSOR_WRITE when the file cannot be opened or written. */
export function fileSink(place: FilePlace): ByteSink {
  const file = open(place.path, 'r+');
  return {
    write(bytes, position) {
      let done = 0;
      while (done < bytes.length) {
        try {
          done += writeSync(file, bytes, done, bytes.length - done, place.offset + position + done);
        } catch (cause) {
          throw new QuantcError('E_TENSOR_WRITE', `cannot write ${place.path}`, {
            place: { file: place.path },
            hint: 'Is the disk full?',
            cause,
          });
        }
      }
    },
    close: () => closeSync(file),
  };
}

export const memorySink = (bytes: Uint8Array): ByteSink => ({
  write: (piece, position) => bytes.set(piece, position),
  close: () => {},
});

function open(path: string, flags: 'r' | 'r+'): number {
  try {
    return openSync(path, flags);
  } catch (cause) {
    throw new QuantcError(flags === 'r' ? 'E_TENSOR_READ' : 'E_TENSOR_WRITE', `cannot open ${path}`, {
      place: { file: path },
      cause,
    });
  }
}
