/**
 * Protobuf by hand, without any schema: writing models that no exporter would write, and comparing bytes without
 * trusting the codec under test.
 */

/** A field as bytes, tag included. */
export type Piece = Uint8Array;

export const join = (...pieces: readonly Piece[]): Uint8Array => new Uint8Array(Buffer.concat(pieces));

export function varint(value: number | bigint): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

const tag = (number: number, wire: number): Uint8Array => varint(number * 8 + wire);

/** A varint field. */
export const int = (number: number, value: number | bigint): Piece => join(tag(number, 0), varint(value));

/** A 32-bit float field. */
export function float(number: number, value: number): Piece {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return join(tag(number, 5), bytes);
}

/** A length-delimited field: text, bytes, or a message made of pieces. */
export function part(number: number, content: string | Uint8Array | readonly Piece[]): Piece {
  const bytes =
    typeof content === 'string'
      ? Buffer.from(content)
      : content instanceof Uint8Array
        ? content
        : join(...content);
  return join(tag(number, 2), varint(bytes.length), bytes);
}

/** A group field, which ONNX never uses: unknown to every reader. */
export const group = (number: number, content: readonly Piece[]): Piece =>
  join(tag(number, 3), ...content, tag(number, 4));

/** A field of a number that ONNX does not use. */
export const unknown = (word: string): Piece => part(777, word);

/** One field of a message read without a schema. */
export interface RawField {
  readonly number: number;
  readonly wire: number;
  readonly bytes: Uint8Array;
}

/** Splits a message into fields, or answers nothing where the bytes are no message. Groups are not looked into. */
export function fieldsOf(bytes: Uint8Array): RawField[] | undefined {
  const fields: RawField[] = [];
  let at = 0;
  const read = (): bigint | undefined => {
    let value = 0n;
    for (let shift = 0n; shift < 70n && at < bytes.length; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
    return undefined;
  };
  while (at < bytes.length) {
    const key = read();
    if (key === undefined || key > 0xffffffffn || key < 8n) return undefined;
    const wire = Number(key & 7n);
    let start = at;
    if (wire === 0) {
      if (read() === undefined) return undefined;
    } else if (wire === 1) at += 8;
    else if (wire === 5) at += 4;
    else if (wire === 2) {
      const length = read();
      if (length === undefined) return undefined;
      start = at;
      at += Number(length);
    } else return undefined;
    if (at > bytes.length) return undefined;
    fields.push({ number: Number(key >> 3n), wire, bytes: bytes.subarray(start, at) });
  }
  return fields;
}

/**
 * The content of a message regardless of the order of its fields (repeated fields keep theirs): equal texts mean equal
 * fields, at every level, whether anybody knows them or not.
 */
export function contentOf(bytes: Uint8Array, depth = 0): string {
  const fields = depth < 30 && bytes.length > 0 ? fieldsOf(bytes) : undefined;
  if (fields === undefined) return Buffer.from(bytes).toString('base64');
  const byNumber = new Map<number, string[]>();
  for (const { number, wire, bytes: content } of fields) {
    const text = wire === 2 ? `{${contentOf(content, depth + 1)}}` : Buffer.from(content).toString('hex');
    byNumber.set(number, [...(byNumber.get(number) ?? []), `${wire}:${text}`]);
  }
  const numbers = [...byNumber.keys()].sort((a, b) => a - b);
  return numbers.map((number) => `${number}=${byNumber.get(number)!.join(',')}`).join(';');
}
