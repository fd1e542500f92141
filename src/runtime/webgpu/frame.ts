/**
 * A record of tensors as the body of an HTTP message: the length of a JSON header as uint32 (little endian), the header, then the
 * bytes of each tensor in the order in which the header lists them. The page's script reads and writes the same form.
 */
import type { WireRecord, WireTensor } from '../executor.js';

interface Entry {
  readonly name: string;
  readonly dtype: WireTensor['dtype'];
  readonly shape: readonly number[];
  readonly length: number;
}

export function frame(record: WireRecord): Buffer {
  const bodies: Uint8Array[] = [];
  const header = Object.entries(record).map(([name, { dtype, shape, bytes }]): Entry => {
    bodies.push(bytes);
    return { name, dtype, shape, length: bytes.byteLength };
  });
  const text = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(4);
  size.writeUInt32LE(text.length);
  return Buffer.concat([size, text, ...bodies]);
}

export function unframe(body: Buffer): WireRecord {
  let at = 4 + body.readUInt32LE(0);
  const header = JSON.parse(body.toString('utf8', 4, at)) as Entry[];
  return Object.fromEntries(
    header.map(({ name, dtype, shape, length }) => {
      const bytes = body.subarray(at, at + length);
      at += length;
      return [name, { dtype, shape, bytes }];
    }),
  );
}
