/** What files come to once they are compressed, as package managers and web servers send them. */
import { createReadStream } from 'node:fs';
import { createDeflateRaw } from 'node:zlib';
import { asksForDeflated, type CompressionRequest } from './prune-request.js';

/** Bytes of the model's files, and of those that were made of it, deflated one by one. */
export interface DeflatedBytes {
  readonly before: number;
  readonly after: number;
}

/** Nothing where nobody asked for what only a compressed file shows: that takes reading all of them. */
export async function deflatedFor(
  request: CompressionRequest,
  before: Iterable<string>,
  after: Iterable<string>,
): Promise<DeflatedBytes | undefined> {
  if (!asksForDeflated(request)) return undefined;
  const sum = async (files: Iterable<string>): Promise<number> => {
    let bytes = 0;
    for (const file of files) bytes += await deflatedBytes(file);
    return bytes;
  };
  return { before: await sum(before), after: await sum(after) };
}

/** Bytes of a file's deflated form (zlib's level 6, no header). It goes by in pieces: nothing is held. */
export async function deflatedBytes(path: string): Promise<number> {
  let bytes = 0;
  const read = createReadStream(path, { highWaterMark: 1 << 20 });
  const deflate = createDeflateRaw({ level: 6 });
  // A file that cannot be read ends the loop below with its error.
  read.on('error', (error) => deflate.destroy(error));
  for await (const piece of read.pipe(deflate)) bytes += (piece as Uint8Array).length;
  return bytes;
}
