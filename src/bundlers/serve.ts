/** Bytes over HTTP, whole or a range of them. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { digestBytes } from '../compile/file-digest.js';

/** Answers GET and HEAD; one range of bytes, as players and streaming loaders ask for. */
export function serve(
  bytes: Uint8Array,
  { method, headers }: IncomingMessage,
  response: ServerResponse,
): void {
  const tag = `"${digestBytes(bytes).slice(0, 16)}"`;
  response.setHeader('Content-Type', 'application/octet-stream');
  response.setHeader('Accept-Ranges', 'bytes');
  response.setHeader('Cache-Control', 'no-cache');
  response.setHeader('ETag', tag);
  if (headers['if-none-match'] === tag) {
    response.writeHead(304).end();
    return;
  }
  const range = rangeOf(headers.range, bytes.length);
  if (range === null) {
    response.writeHead(416, { 'Content-Range': `bytes */${bytes.length}` }).end();
    return;
  }
  const [from, to] = range ?? [0, bytes.length];
  if (range !== undefined) response.setHeader('Content-Range', `bytes ${from}-${to - 1}/${bytes.length}`);
  response.setHeader('Content-Length', to - from);
  response.statusCode = range === undefined ? 200 : 206;
  response.end(method === 'HEAD' ? undefined : bytes.subarray(from, to));
}

/** Beginning and end of a range; undefined for all there is, null for what there is not. */
function rangeOf(header: string | undefined, length: number): [from: number, to: number] | undefined | null {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (match === null || (match[1] === '' && match[2] === '')) return undefined;
  const from = match[1] === '' ? Math.max(0, length - Number(match[2])) : Number(match[1]);
  const to = match[1] === '' || match[2] === '' ? length : Math.min(length, Number(match[2]) + 1);
  return from < to ? [from, to] : null;
}
