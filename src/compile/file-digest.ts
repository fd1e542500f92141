import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';

/** SHA-256 of one file, in hexadecimal; a MiB at a time. */
export async function digestFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return hash.digest('hex');
}

/** SHA-256 of what is in memory, in hexadecimal. */
export const digestBytes = (bytes: string | Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex');
