/** Reads `.tflite` files back, by slots of their tables: written apart from what writes them. */
import { ByteBuffer } from 'flatbuffers';
import type { ConvertedPort } from '../../src/tflite/index.js';

/** A table at an offset; fields by slot. */
class Table {
  readonly #bytes: ByteBuffer;
  readonly #at: number;

  constructor(bytes: ByteBuffer, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  #field(slot: number): number | undefined {
    const offset = this.#bytes.__offset(this.#at, 4 + 2 * slot);
    return offset === 0 ? undefined : this.#at + offset;
  }

  int(slot: number, otherwise = 0): number {
    const at = this.#field(slot);
    return at === undefined ? otherwise : this.#bytes.readInt32(at);
  }

  byte(slot: number, otherwise = 0): number {
    const at = this.#field(slot);
    return at === undefined ? otherwise : this.#bytes.readInt8(at);
  }

  float(slot: number, otherwise = 0): number {
    const at = this.#field(slot);
    return at === undefined ? otherwise : this.#bytes.readFloat32(at);
  }

  has = (slot: number): boolean => this.#field(slot) !== undefined;

  table(slot: number): Table | undefined {
    const at = this.#field(slot);
    return at === undefined ? undefined : new Table(this.#bytes, this.#bytes.__indirect(at));
  }

  #vector<T>(slot: number, width: number, read: (at: number) => T): T[] {
    const at = this.#field(slot);
    if (at === undefined) return [];
    const start = at + this.#bytes.readInt32(at) + 4;
    return Array.from({ length: this.#bytes.readInt32(start - 4) }, (_, index) =>
      read(start + index * width),
    );
  }

  ints = (slot: number): number[] => this.#vector(slot, 4, (at) => this.#bytes.readInt32(at));
  floats = (slot: number): number[] => this.#vector(slot, 4, (at) => this.#bytes.readFloat32(at));
  longs = (slot: number): number[] => this.#vector(slot, 8, (at) => Number(this.#bytes.readInt64(at)));
  tables = (slot: number): Table[] =>
    this.#vector(slot, 4, (at) => new Table(this.#bytes, this.#bytes.__indirect(at)));

  string(slot: number): string {
    const at = this.#field(slot);
    return at === undefined ? '' : (this.#bytes.__string(at) as string);
  }

  /** Bytes of a vector, and where in the file they begin. */
  bytes(slot: number): { readonly data: Uint8Array; readonly at: number } {
    const at = this.#field(slot);
    if (at === undefined) return { data: new Uint8Array(0), at: 0 };
    const start = at + this.#bytes.readInt32(at) + 4;
    return { data: this.#bytes.bytes().subarray(start, start + this.#bytes.readInt32(start - 4)), at: start };
  }
}

/** What a file holds. */
export function readTflite(file: Uint8Array) {
  const bytes = new ByteBuffer(file);
  const identifier = new TextDecoder().decode(file.subarray(4, 8));
  const root = new Table(bytes, bytes.readInt32(0));
  const [graph] = root.tables(2);
  const buffers = root.tables(4).map((each) => each.bytes(0));
  const codes = root
    .tables(1)
    .map((each) => ({ old: each.byte(0), version: each.int(2, 1), code: each.int(3) }));
  const tensors = graph!.tables(0).map((each) => {
    const grid = each.table(4);
    return {
      shape: each.ints(0),
      type: each.byte(1),
      buffer: each.int(2),
      name: each.string(3),
      scale: grid?.floats(2) ?? [],
      zeroPoint: grid?.longs(3) ?? [],
      axis: grid?.int(6) ?? 0,
    };
  });
  const operators = graph!.tables(3).map((each) => ({
    ...codes[each.int(0)]!,
    inputs: each.ints(1),
    outputs: each.ints(2),
    optionsType: each.byte(3),
    options: each.table(4),
  }));
  const [signature] = root.tables(7);
  const port = (each: Table) => ({ name: each.string(0), tensor: each.int(1) });
  const metadata = Object.fromEntries(
    root.tables(6).map((each) => [each.string(0), new TextDecoder().decode(buffers[each.int(1)]!.data)]),
  );
  return {
    identifier,
    version: root.int(0),
    description: root.string(3),
    inputs: graph!.ints(1),
    outputs: graph!.ints(2),
    signature: {
      key: signature!.string(2),
      inputs: signature!.tables(0).map(port),
      outputs: signature!.tables(1).map(port),
    },
    buffers,
    codes,
    tensors,
    operators,
    metadata,
  };
}

/** How the inputs and outputs of a delivered file lie. */
export function portsOf(file: Uint8Array) {
  const { signature, tensors, metadata } = readTflite(file);
  const layouts = JSON.parse(metadata['quantc_layout']!) as Record<
    'inputs' | 'outputs',
    Record<string, string>
  >;
  const ports = (way: 'inputs' | 'outputs'): ConvertedPort[] =>
    signature[way].map(({ name, tensor }) => ({
      name,
      layout: layouts[way][name] === 'NHWC' ? 'last' : 'plain',
      shape: tensors[tensor]!.shape,
    }));
  return { inputs: ports('inputs'), outputs: ports('outputs') };
}
