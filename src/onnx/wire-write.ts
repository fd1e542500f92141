/**
 * From plain data to protobuf bytes, written from the end to the front: when a message's length must be told, its
 * content already stands, so nothing is measured twice or moved. Bulk bytes are not copied but kept as segments of
 * their own, and may still be tensors whose bytes nobody has asked for yet.
 */
import type { Int } from '../ir/attribute.js';
import { Tensor } from '../ir/tensor.js';
import { type Blob, type Field, type Layout, layoutOf, type Message, type MessageName } from './schema.js';
import type { Fields } from './wire-read.js';

/** A run of bytes of the output: at hand, or a tensor that will give them. */
export type Segment = Uint8Array | Tensor;

/** Smaller blobs are copied into the run around them: a segment each would cost more. */
const SEGMENT_BYTES = 4096;
const CHUNK_BYTES = 64 << 10;

/** Encodes a message; the segments in order are its bytes. Fields come in the order of their numbers. */
export function writeMessage<M extends MessageName>(
  name: M,
  message: Message<M>,
): { segments: Segment[]; length: number } {
  const writer = new BackwardWriter();
  writeFields(layoutOf(name), message as Fields, writer);
  return { segments: writer.finish(), length: writer.length };
}

function writeFields(layout: Layout, record: Fields, writer: BackwardWriter): void {
  const { unknown } = record;
  if (unknown) for (let i = unknown.length - 1; i >= 0; i--) writer.bytes(unknown[i]!);
  for (const field of layout.descending) {
    const value = record[field.name];
    if (value === undefined) continue;
    if (field.repeated) {
      const list = value as unknown[];
      for (let i = list.length - 1; i >= 0; i--) writeField(field, list[i], writer);
    } else writeField(field, value, writer);
  }
}

function writeField(field: Field, value: unknown, writer: BackwardWriter): void {
  const mark = writer.length;
  switch (field.kind) {
    case 'message':
      writeFields(field.layout!, value as Fields, writer);
      break;
    case 'string':
      writer.string(value as string);
      break;
    case 'int64':
    case 'int32':
      writer.int(value as Int);
      writer.varint(field.number * 8);
      return;
    case 'float':
      writer.float(value as number);
      writer.varint(field.number * 8 + 5);
      return;
    default:
      writer.blob(value as Blob);
  }
  writer.varint(writer.length - mark);
  writer.varint(field.number * 8 + 2);
}

class BackwardWriter {
  /** Bytes written so far. */
  length = 0;
  readonly #segments: Segment[] = [];
  #chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  /** Bytes of the chunk from here on are written. */
  #start = CHUNK_BYTES;
  #end = CHUNK_BYTES;

  finish(): Segment[] {
    this.#cut();
    return this.#segments.reverse();
  }

  /** Ends the present run, so that a segment can stand before it. */
  #cut(): void {
    if (this.#start < this.#end) this.#segments.push(this.#chunk.subarray(this.#start, this.#end));
    this.#end = this.#start;
  }

  /** Makes room for `count` bytes and returns where they begin. */
  #take(count: number): number {
    if (this.#start < count) {
      this.#cut();
      const size = Math.max(CHUNK_BYTES, count);
      this.#chunk = Buffer.allocUnsafe(size);
      this.#start = this.#end = size;
    }
    this.length += count;
    this.#start -= count;
    return this.#start;
  }

  bytes(bytes: Uint8Array): void {
    if (bytes.byteLength < SEGMENT_BYTES) this.#copy(bytes);
    else this.#segment(bytes, bytes.byteLength);
  }

  #copy(bytes: ArrayLike<number>): void {
    const at = this.#take(bytes.length);
    this.#chunk.set(bytes, at);
  }

  blob(blob: Blob): void {
    if (blob instanceof Uint8Array) this.bytes(blob);
    else if (blob instanceof Tensor) this.#segment(blob, blob.byteLength);
    else this.#segment(new Tensor('uint8', [blob.length], { kind: 'file', ...blob }), blob.length);
  }

  #segment(segment: Segment, length: number): void {
    this.#cut();
    this.#segments.push(segment);
    this.length += length;
  }

  string(text: string): void {
    const count = Buffer.byteLength(text);
    const at = this.#take(count);
    this.#chunk.write(text, at, count, 'utf8');
  }

  float(value: number): void {
    const at = this.#take(4);
    this.#chunk.writeFloatLE(value, at);
  }

  /** An unsigned number below 2^53. */
  varint(value: number): void {
    let count = 1;
    for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) count += 1;
    const at = this.#take(count);
    let rest = value;
    for (let i = 0; i < count - 1; i++) {
      this.#chunk[at + i] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.#chunk[at + count - 1] = rest;
  }

  /** A signed number; negative ones take ten bytes, as 64-bit two's complement. */
  int(value: Int): void {
    if (typeof value === 'number' && value >= 0) {
      this.varint(value);
      return;
    }
    let rest = BigInt.asUintN(64, BigInt(value));
    const bytes: number[] = [];
    while (rest >= 128n) {
      bytes.push(Number(rest & 127n) | 128);
      rest >>= 7n;
    }
    bytes.push(Number(rest));
    this.#copy(bytes);
  }
}
