/**
 * Reads what an .ort file computes with: its operators, and the element types that each of them sees. The file is a
 * FlatBuffer; tables and the numbers of their fields are those of ONNX Runtime's schema
 * (onnxruntime/core/flatbuffers/schema/ort.fbs).
 */
import { ByteBuffer } from 'flatbuffers';
import { QuantcError } from '../errors/error.js';
import type { DType } from '../ir/dtype.js';

/** One node, or one that ONNX Runtime may make of several while it loads the file. */
export interface OrtOperator {
  /** `ai.onnx` where the node says none. */
  readonly domain: string;
  readonly op: string;
  /** The version of the operator, which is the opset that it came with. */
  readonly since: number;
  /** Element types of inputs and outputs; undefined for what is absent, and for no tensor. */
  readonly inputs: readonly (DType | undefined)[];
  readonly outputs: readonly (DType | undefined)[];
}

export interface OrtFile {
  /** ONNX Runtime's version of the format. */
  readonly version: string;
  /** Nodes of the main graph and of all subgraphs. */
  readonly operators: readonly OrtOperator[];
  /** What optimizations that are written down for later would make; their types are not known. */
  readonly produced: readonly Pick<OrtOperator, 'domain' | 'op' | 'since'>[];
}

/** `TensorDataType`, by number. */
const TYPES: readonly (DType | undefined)[] = [
  ...([undefined, 'float', 'uint8', 'int8', 'uint16', 'int16', 'int32', 'int64', 'string', 'bool'] as const),
  ...(['float16', 'double', 'uint32', 'uint64', 'complex64', 'complex128', 'bfloat16'] as const),
  ...(['float8e4m3fn', 'float8e4m3fnuz', 'float8e5m2', 'float8e5m2fnuz'] as const),
];
const TENSOR_TYPE = 1;
const SEQUENCE_TYPE = 2;

type Scope = ReadonlyMap<string, DType | undefined>;

/** @throws QuantcError E_ORT_FILE when the bytes are no .ort file */
export function readOrtFile(bytes: Uint8Array): OrtFile {
  const buffer = new ByteBuffer(bytes);
  if (bytes.length < 8 || !buffer.__has_identifier('ORTM'))
    throw new QuantcError('E_ORT_FILE', 'this is no file in the format of ONNX Runtime');
  const root = new Table(buffer, buffer.readInt32(0));
  const found: Found = { operators: [], produced: [] };
  const graph = root.table(1)?.table(7);
  if (graph) readGraph(graph, new Map(), found);
  return { version: root.text(0), ...found };
}

interface Found {
  readonly operators: OrtOperator[];
  readonly produced: Pick<OrtOperator, 'domain' | 'op' | 'since'>[];
}

function readGraph(graph: Table, outer: Scope, found: Found): void {
  const scope = new Map(outer);
  for (const value of graph.tables(1)) scope.set(value.text(0), typeOf(value.table(2)));
  for (const node of graph.tables(2)) {
    const typed = (field: number) =>
      node.texts(field).map((name) => (name === '' ? undefined : scope.get(name)));
    found.operators.push({
      domain: node.text(2) || 'ai.onnx',
      op: node.text(5),
      since: node.int32(3),
      inputs: typed(8),
      outputs: typed(9),
    });
    for (const attribute of node.tables(10)) {
      const inner = attribute.table(7);
      if (inner) readGraph(inner, scope, found);
      for (const each of attribute.tables(12)) readGraph(each, scope, found);
    }
  }
  for (const entry of graph.table(8)?.tables(0) ?? [])
    for (const record of entry.tables(1))
      for (const id of record.texts(3)) {
        const [domain = '', op = '', since = ''] = id.split(':');
        found.produced.push({ domain: domain || 'ai.onnx', op, since: Number(since) });
      }
}

/** The element type of a tensor, or of the tensors of a sequence. */
function typeOf(type: Table | undefined): DType | undefined {
  const kind = type?.byte(1);
  if (kind === TENSOR_TYPE) return TYPES[type!.table(2)?.int32(0) ?? 0];
  return kind === SEQUENCE_TYPE ? typeOf(type!.table(2)?.table(0)) : undefined;
}

/** A table of a FlatBuffer, its fields by their numbers in the schema. */
class Table {
  readonly #buffer: ByteBuffer;
  readonly #at: number;

  constructor(buffer: ByteBuffer, at: number) {
    this.#buffer = buffer;
    this.#at = at;
  }

  /** Where the field lies; 0 where it is absent. */
  #place(field: number): number {
    const offset = this.#buffer.__offset(this.#at, 4 + 2 * field);
    return offset === 0 ? 0 : this.#at + offset;
  }

  byte(field: number): number {
    const place = this.#place(field);
    return place === 0 ? 0 : this.#buffer.readUint8(place);
  }

  int32(field: number): number {
    const place = this.#place(field);
    return place === 0 ? 0 : this.#buffer.readInt32(place);
  }

  text(field: number): string {
    const place = this.#place(field);
    return place === 0 ? '' : String(this.#buffer.__string(place));
  }

  table(field: number): Table | undefined {
    const place = this.#place(field);
    return place === 0 ? undefined : new Table(this.#buffer, this.#buffer.__indirect(place));
  }

  tables(field: number): Table[] {
    return this.#list(field).map((place) => new Table(this.#buffer, this.#buffer.__indirect(place)));
  }

  texts(field: number): string[] {
    return this.#list(field).map((place) => String(this.#buffer.__string(place)));
  }

  #list(field: number): number[] {
    const place = this.#place(field);
    if (place === 0) return [];
    const start = this.#buffer.__vector(place);
    return Array.from({ length: this.#buffer.__vector_len(place) }, (_, at) => start + 4 * at);
  }
}
