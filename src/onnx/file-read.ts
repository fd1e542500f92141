/**
 * Reading a large model without loading it: messages are walked field by field through a small window, and bulk bytes
 * become ranges of the file. Memory follows the structure of the model, not its weights.
 */
import { readSync } from 'node:fs';
import protobuf from 'protobufjs/minimal.js';
import { QuantcError } from '../errors/error.js';
import { type Field, type Layout, layoutOf, type Message, type MessageName } from './schema.js';
import { type Fields, malformed, mergeBytes, requireDepth } from './wire-read.js';

const WINDOW_BYTES = 256 << 10;
/** Blobs of at least `range` bytes stay in the file; messages of up to `whole` bytes are read in one go. */
const LIMITS = { range: 4 << 10, whole: 16 << 10 };

/**
 * Reads one message that fills an open file. Errors as `readMessage`.
 * @param path names the file in the ranges that the message holds.
 * @param limits are for tests: small ones drive small files through the same walk.
 */
export function readMessageFromFile<M extends MessageName>(
  name: M,
  file: number,
  path: string,
  size: number,
  limits = LIMITS,
): Message<M> {
  const record: Fields = {};
  walk(layoutOf(name), new Window(file, path, size, limits), 0, size, record, 0);
  return record as Message<M>;
}

function walk(
  layout: Layout,
  window: Window,
  start: number,
  end: number,
  record: Fields,
  depth: number,
): void {
  requireDepth(layout, depth);
  let at = start;
  while (at < end) {
    const head = window.view(at, Math.min(20, end - at));
    const reader = new protobuf.Reader(head);
    let next: number;
    let field: Field | undefined;
    try {
      const tag = reader.tag();
      field = layout.byNumber[tag >>> 3];
      if ((tag & 7) === 2) {
        const length = reader.size();
        const content = at + reader.pos;
        next = content + length;
        if (next > end)
          throw malformed(`${layout.name} promises ${length} bytes where ${end - content} are left`);
        if (field !== undefined && large(field, length, window.limits)) {
          takeLarge(field, layout, window, content, length, record, depth);
          at = next;
          continue;
        }
      } else if ((tag & 7) === 3) {
        next = at + groupLength(window, at, end);
      } else {
        reader.skipType(tag & 7, depth, tag >>> 3);
        next = at + reader.pos;
      }
    } catch (cause) {
      if (cause instanceof QuantcError) throw cause;
      throw malformed(`${layout.name} is broken at byte ${at}: ${(cause as Error).message}`, cause);
    }
    mergeBytes(layout, window.copy(at, next - at), record, depth);
    at = next;
  }
}

const large = (field: Field, length: number, limits: typeof LIMITS): boolean =>
  field.kind === 'message'
    ? length > limits.whole
    : length >= limits.range &&
      (field.kind === 'blob' ||
        field.kind === 'fixed32s' ||
        field.kind === 'fixed64s' ||
        field.kind === 'varints');

function takeLarge(
  field: Field,
  layout: Layout,
  window: Window,
  content: number,
  length: number,
  record: Fields,
  depth: number,
): void {
  for (const rival of field.rivals) delete record[rival];
  if (field.kind !== 'message') {
    if (record[field.name] !== undefined && field.kind !== 'blob') {
      throw malformed(`${layout.name}.${field.name} comes in more than one large piece`);
    }
    record[field.name] = { path: window.path, offset: content, length };
    return;
  }
  let item: Fields;
  if (field.repeated) {
    item = {};
    record[field.name] ??= [];
    (record[field.name] as Fields[]).push(item);
  } else {
    item = (record[field.name] as Fields | undefined) ?? {};
    record[field.name] = item;
  }
  walk(field.layout!, window, content, content + length, item, depth + 1);
}

/** How many bytes an (unknown) group takes, its tags included. */
function groupLength(window: Window, at: number, end: number): number {
  for (let size = WINDOW_BYTES; ; size *= 8) {
    const reader = new protobuf.Reader(window.view(at, Math.min(size, end - at)));
    try {
      const tag = reader.tag();
      reader.skipType(tag & 7, 0, tag >>> 3);
      return reader.pos;
    } catch (error) {
      if (at + size >= end) throw error;
    }
  }
}

/** A part of the file in memory, moved along as the walk asks. */
class Window {
  #bytes = new Uint8Array(0);
  #offset = 0;

  constructor(
    readonly file: number,
    readonly path: string,
    readonly size: number,
    readonly limits: typeof LIMITS,
  ) {}

  /** A view that is good until the next call. */
  view(offset: number, length: number): Uint8Array {
    if (offset < this.#offset || offset + length > this.#offset + this.#bytes.byteLength) {
      const wanted = Math.min(Math.max(length, WINDOW_BYTES), this.size - offset);
      const bytes = new Uint8Array(wanted);
      for (let done = 0; done < wanted; ) {
        const count = readSync(this.file, bytes, done, wanted - done, offset + done);
        if (count === 0) throw malformed(`the file ends at byte ${offset + done}`);
        done += count;
      }
      this.#bytes = bytes;
      this.#offset = offset;
    }
    return this.#bytes.subarray(offset - this.#offset, offset - this.#offset + length);
  }

  copy(offset: number, length: number): Uint8Array {
    return this.view(offset, length).slice();
  }
}
