const used = new WeakMap<ArrayBufferLike, number>();

/**
 * `before` followed by `piece`, so that a field sent element by element costs no object each: appending again to the
 * answer reuses its buffer, which doubles when it is full. Only the newest answer may be appended to.
 */
export function appendBytes(before: Uint8Array, piece: Uint8Array): Uint8Array {
  const length = before.byteLength + piece.byteLength;
  let { buffer } = before;
  if (used.get(buffer) !== before.byteLength || length > buffer.byteLength) {
    const grown = new Uint8Array(Math.max(64, length * 2));
    grown.set(before);
    buffer = grown.buffer;
  }
  new Uint8Array(buffer).set(piece, before.byteLength);
  used.set(buffer, length);
  return new Uint8Array(buffer, 0, length);
}
