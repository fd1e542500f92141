/** The files of a .tgz as npm makes it: names of up to 100 characters, longer ones in two parts. */
import { gunzipSync } from 'node:zlib';

const BLOCK = 512;

/**
 * @param {Uint8Array} bytes
 * @returns {{ name: string, size: number }[]}
 */
export function unzipped(bytes) {
  const tar = gunzipSync(bytes);
  const text = (at, length) => tar.toString('utf8', at, at + length).replace(/\0.*$/s, '');
  const files = [];
  for (let at = 0; at < tar.length && tar[at] !== 0; ) {
    const size = Number.parseInt(text(at + 124, 12), 8);
    const prefix = text(at + 345, 155);
    files.push({ name: `${prefix === '' ? '' : `${prefix}/`}${text(at, 100)}`, size });
    at += BLOCK * (1 + Math.ceil(size / BLOCK));
  }
  return files;
}
