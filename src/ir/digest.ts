/** Fingerprints of constants, taken without ever holding a large one whole. */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { QuantcError } from '../errors/error.js';
import { type FileRange, readRange, type Tensor, type TensorSource } from './tensor.js';

const CHUNK = 1 << 20;
const WINDOW = 4096;

/** What was hashed once: sources never change, and tensors of many names and shapes share one. */
const known = new WeakMap<TensorSource, string>();

/**
 * SHA-256 of the content: raw little-endian bytes, or each string led by its length. File ranges are read in chunks
 * of 1 MiB; a derived tensor is computed. Asked again, it remembers.
 * @throws QuantcError E_TENSOR_READ when its file is gone or too short.
 */
export function contentDigest(tensor: Tensor): string {
  let digest = known.get(tensor.source);
  if (digest === undefined) {
    digest = hashed(tensor);
    known.set(tensor.source, digest);
  }
  return digest;
}

function hashed(tensor: Tensor): string {
  const hash = createHash('sha256');
  const { source } = tensor;
  if (source.kind === 'strings') {
    const length = Buffer.alloc(4);
    for (const value of source.values) {
      length.writeUInt32LE(value.length);
      hash.update(length).update(value);
    }
  } else if (source.kind === 'file') hashFile(hash, source);
  else hash.update(tensor.bytes());
  return hash.digest('hex');
}

/**
 * A cheap fingerprint: equal contents have equal ones, unequal contents rarely do. Looks at no more than three windows
 * of 4 KiB. Undefined for a derived tensor, which would have to be computed whole.
 */
export function sampleDigest(tensor: Tensor): string | undefined {
  const { source } = tensor;
  if (source.kind === 'derived') return undefined;
  if (source.kind === 'strings') return contentDigest(tensor);
  const length = tensor.byteLength;
  const hash = createHash('sha256');
  const starts = length <= 3 * WINDOW ? [0] : [0, Math.floor((length - WINDOW) / 2), length - WINDOW];
  const size = length <= 3 * WINDOW ? length : WINDOW;
  for (const start of starts) {
    hash.update(
      source.kind === 'file'
        ? readRange({ path: source.path, offset: source.offset + start, length: size })
        : source.bytes.subarray(start, start + size),
    );
  }
  return hash.digest('hex');
}

function hashFile(hash: Hash, { path, offset, length }: FileRange): void {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (cause) {
    throw new QuantcError('E_TENSOR_READ', `cannot open ${path}`, { place: { file: path }, cause });
  }
  try {
    const chunk = new Uint8Array(Math.min(CHUNK, length));
    for (let done = 0; done < length; ) {
      const count = readSync(file, chunk, 0, Math.min(chunk.length, length - done), offset + done);
      if (count === 0) {
        throw new QuantcError('E_TENSOR_READ', `${path} ends before byte ${offset + length}`, {
          place: { file: path },
        });
      }
      hash.update(chunk.subarray(0, count));
      done += count;
    }
  } finally {
    closeSync(file);
  }
}
