/**
 * From protobuf bytes to plain data, driven by the schema's table. Unknown fields stay as they stood, bulk bytes stay
 * views of the input, and whatever is wrong with the input is a coded error.
 */
import protobuf from 'protobufjs/minimal.js';
import { QuantcError } from '../errors/error.js';
import type { Int } from '../ir/attribute.js';
import { appendBytes } from './growing-bytes.js';
import { type Field, type Layout, layoutOf, type Message, type MessageName } from './schema.js';

type Reader = protobuf.Reader;
export type Fields = Record<string, unknown> & { unknown?: Uint8Array[] };

/** Protobuf's own readers refuse more than this many nested messages. */
export const MAX_DEPTH = 100;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads one message from memory.
 * @throws QuantcError E_ONNX_MALFORMED when the bytes are no such message, E_ONNX_UTF8 when a name is not UTF-8,
 * E_ONNX_DEPTH when messages nest deeper than {@link MAX_DEPTH}.
 */
export function readMessage<M extends MessageName>(name: M, bytes: Uint8Array): Message<M> {
  const record: Fields = {};
  mergeBytes(layoutOf(name), bytes, record, 0);
  return record as Message<M>;
}

/** Reads fields from memory into a message that may already hold some (protobuf merges what comes twice). */
export function mergeBytes(layout: Layout, bytes: Uint8Array, record: Fields, depth: number): void {
  const reader = new protobuf.Reader(bytes);
  // We cut unknown fields out ourselves; the switch matters should the reader ever be handed to generated code.
  reader.discardUnknown = false;
  try {
    merge(layout, reader, record, depth);
  } catch (cause) {
    if (cause instanceof QuantcError) throw cause;
    throw malformed(`${layout.name} is broken at byte ${reader.pos}: ${(cause as Error).message}`, cause);
  }
}

export const malformed = (message: string, cause?: unknown): QuantcError =>
  new QuantcError('E_ONNX_MALFORMED', message, {
    hint: 'The file is damaged, cut short, or not an ONNX model.',
    cause,
  });

export function requireDepth(layout: Layout, depth: number): void {
  if (depth <= MAX_DEPTH) return;
  throw new QuantcError('E_ONNX_DEPTH', `${layout.name} nests deeper than ${MAX_DEPTH} messages`);
}

/** Reads up to `reader.len`. */
function merge(layout: Layout, reader: Reader, record: Fields, depth: number): void {
  requireDepth(layout, depth);
  const end = reader.len;
  while (reader.pos < end) {
    const start = reader.pos;
    const tag = reader.tag();
    const number = tag >>> 3;
    const wire = tag & 7;
    const field = layout.byNumber[number];
    if (field === undefined) {
      reader.skipType(wire, depth, number);
      if (reader.pos > end) throw malformed(`${layout.name} is cut short`);
      record.unknown ??= [];
      record.unknown.push(reader.raw(start, reader.pos));
      continue;
    }
    for (const rival of field.rivals) delete record[rival];
    if (field.repeated) readRepeated(field, layout, wire, reader, record, depth);
    else if (field.kind === 'message') readNested(field, layout, wire, reader, record, depth);
    else if (field.kind === 'fixed32s' || field.kind === 'fixed64s' || field.kind === 'varints') {
      readPayload(field, layout, wire, reader, record);
    } else {
      requireWire(wire, WIRE_OF[field.kind], field, layout);
      record[field.name] = readScalar(field, layout, reader);
    }
  }
}

const WIRE_OF = {
  string: 2,
  bytes: 2,
  blob: 2,
  int64: 0,
  int32: 0,
  float: 5,
  fixed32s: 5,
  fixed64s: 1,
  varints: 0,
  message: 2,
};

function readRepeated(
  field: Field,
  layout: Layout,
  wire: number,
  reader: Reader,
  record: Fields,
  depth: number,
): void {
  let list = record[field.name] as unknown[] | undefined;
  if (list === undefined) record[field.name] = list = [];
  if (field.kind === 'message') {
    requireWire(wire, 2, field, layout);
    const item: Fields = {};
    within(reader, () => merge(field.layout!, reader, item, depth + 1));
    list.push(item);
  } else if (wire === 2 && WIRE_OF[field.kind] !== 2) {
    const items = list;
    within(reader, () => {
      while (reader.pos < reader.len) items.push(readScalar(field, layout, reader));
    });
  } else {
    requireWire(wire, WIRE_OF[field.kind], field, layout);
    list.push(readScalar(field, layout, reader));
  }
}

function readNested(
  field: Field,
  layout: Layout,
  wire: number,
  reader: Reader,
  record: Fields,
  depth: number,
): void {
  requireWire(wire, 2, field, layout);
  const item = (record[field.name] as Fields | undefined) ?? {};
  record[field.name] = item;
  within(reader, () => merge(field.layout!, reader, item, depth + 1));
}

/** Numbers in bulk: the packed payload as it stands; what comes in pieces or unpacked is gathered. */
function readPayload(field: Field, layout: Layout, wire: number, reader: Reader, record: Fields): void {
  let start = reader.pos;
  if (wire === 2) {
    const length = sized(reader);
    start = reader.pos;
    reader.pos += length;
  } else {
    requireWire(wire, WIRE_OF[field.kind], field, layout);
    reader.skipType(wire);
  }
  const piece = reader.raw(start, reader.pos);
  const before = record[field.name];
  if (before === undefined) record[field.name] = piece;
  else if (before instanceof Uint8Array) record[field.name] = appendBytes(before, piece);
  else throw malformed(`${layout.name}.${field.name} comes in more than one large piece`);
}

function readScalar(field: Field, layout: Layout, reader: Reader): unknown {
  switch (field.kind) {
    case 'string':
      return readString(field, layout, reader);
    case 'bytes':
    case 'blob': {
      const length = sized(reader);
      const start = reader.pos;
      reader.pos += length;
      return reader.raw(start, reader.pos);
    }
    case 'int64':
      return readInt(reader);
    case 'int32':
      return reader.int32();
    default:
      return reader.float();
  }
}

/** A length that fits what is left. */
function sized(reader: Reader): number {
  const length = reader.size();
  if (length > reader.len - reader.pos) {
    throw malformed(`a field promises ${length} bytes where ${reader.len - reader.pos} are left`);
  }
  return length;
}

/** Narrows the reader to a length-delimited field while `read` runs. */
function within(reader: Reader, read: () => void): void {
  const length = sized(reader);
  const outer = reader.len;
  reader.len = reader.pos + length;
  read();
  if (reader.pos !== reader.len) throw malformed('a nested field runs over its end');
  reader.len = outer;
}

function readString(field: Field, layout: Layout, reader: Reader): string {
  const length = sized(reader);
  const start = reader.pos;
  const end = start + length;
  reader.pos = end;
  const { buf } = reader;
  if (length < 48) {
    // Names are short and ASCII nearly always: this is several times faster than a decoder call.
    let text = '';
    let at = start;
    for (; at < end && buf[at]! < 128; at++) text += String.fromCharCode(buf[at]!);
    if (at === end) return text;
  }
  try {
    return utf8.decode(buf.subarray(start, end));
  } catch (cause) {
    throw new QuantcError('E_ONNX_UTF8', `${layout.name}.${field.name} is not UTF-8`, { cause });
  }
}

/** Text where it is UTF-8, nothing otherwise. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

function readInt(reader: Reader): Int {
  const first = reader.buf[reader.pos];
  if (reader.pos < reader.len && first !== undefined && first < 128) {
    reader.pos += 1;
    return first;
  }
  const { low, high } = reader.int64() as unknown as { low: number; high: number };
  const exact = high * 0x1_0000_0000 + (low >>> 0);
  if (Number.isSafeInteger(exact)) return exact;
  return (BigInt(high) << 32n) | BigInt(low >>> 0);
}

function requireWire(wire: number, wanted: number, field: Field, layout: Layout): void {
  if (wire === wanted) return;
  throw malformed(`${layout.name}.${field.name} has wire type ${wire}, not ${wanted}`);
}
