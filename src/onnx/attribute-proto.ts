/** AttributeProto ⇄ Attribute. */
import { QuantcError } from '../errors/error.js';
import type { Attribute, AttributeKind } from '../ir/attribute.js';
import type { AttributeParts } from '../ir/build.js';
import type { Graph } from '../ir/graph.js';
import type { ExternalFolder } from './external-data.js';
import { decodeGraphParts, type EncodeContext, encodeGraph } from './graph-proto.js';
import type { Message } from './schema.js';
import { decodeSparse, decodeTensorProto, encodeSparse, encodeTensorProto } from './tensor-proto.js';
import { decodeType, encodeType } from './type-proto.js';
import { textOf } from './wire-read.js';

type AttributeProto = Message<'AttributeProto'>;

/** AttributeProto.AttributeType by kind, and the field that carries the value. */
const KINDS = {
  float: { code: 1, field: 'f' },
  int: { code: 2, field: 'i' },
  string: { code: 3, field: 's' },
  tensor: { code: 4, field: 't' },
  graph: { code: 5, field: 'g' },
  floats: { code: 6, field: 'floats' },
  ints: { code: 7, field: 'ints' },
  strings: { code: 8, field: 'strings' },
  tensors: { code: 9, field: 'tensors' },
  graphs: { code: 10, field: 'graphs' },
  sparse: { code: 11, field: 'sparse_tensor' },
  sparses: { code: 12, field: 'sparse_tensors' },
  type: { code: 13, field: 'tp' },
  types: { code: 14, field: 'type_protos' },
} as const satisfies Record<AttributeKind, { code: number; field: keyof AttributeProto }>;

const BY_CODE = new Map<number, AttributeKind>(
  Object.entries(KINDS).map(([kind, { code }]) => [code, kind as AttributeKind]),
);

interface AttributeExtras {
  /** Documentation, unknown fields, fields of other kinds, an empty name. */
  readonly rest: AttributeProto;
  /** The message did not state its type (IR version 1 did not have it). */
  readonly untyped?: true;
  /** The message did not hold this value, which is the default of its kind. */
  readonly absent?: { readonly value: unknown };
}

/**
 * Reads one attribute: its name and value, graphs still by name.
 * @throws QuantcError E_ONNX_ATTRIBUTE when its kind is unknown or its value missing; errors of what it holds.
 */
export function decodeAttribute(
  record: AttributeProto,
  folder: ExternalFolder | undefined,
): [string, AttributeParts] {
  const { name = '', type, ref_attr_name, ...fields } = record;
  const kind = kindOf(record);
  const untyped = type ? {} : ({ untyped: true } as const);
  const rest: AttributeProto = fields;
  if (record.name === '') rest.name = '';
  if (type === 0) rest.type = 0;
  if (ref_attr_name) return [name, { kind: 'ref', name: ref_attr_name, type: kind, ...pack(rest, untyped) }];
  if (ref_attr_name === '') rest.ref_attr_name = '';
  const { field } = KINDS[kind];
  const absent = rest[field] === undefined;
  delete rest[field];
  const parts = taggedValue(kind, record, folder);
  const form =
    absent && !Array.isArray(parts.value) ? { ...untyped, absent: { value: parts.value } } : untyped;
  return [name, { ...parts, ...pack(rest, form) }];
}

const pack = (rest: AttributeProto, form: Omit<AttributeExtras, 'rest'>): { extras?: AttributeExtras } =>
  Object.keys(rest).length === 0 && Object.keys(form).length === 0 ? {} : { extras: { rest, ...form } };

function kindOf(record: AttributeProto): AttributeKind {
  if (record.type) {
    const kind = BY_CODE.get(record.type);
    if (kind !== undefined) return kind;
    throw broken(record, `has type ${record.type}, which ONNX does not define`);
  }
  for (const [kind, { field }] of Object.entries(KINDS)) {
    if (record[field] !== undefined) return kind as AttributeKind;
  }
  throw broken(record, 'has neither a type nor a value');
}

/** The tagged value. A missing number or string is the protobuf default; anything larger must be there. */
function taggedValue(
  kind: AttributeKind,
  record: AttributeProto,
  folder: ExternalFolder | undefined,
): Exclude<AttributeParts, { kind: 'ref' }> {
  const need = <T>(value: T | undefined): T => {
    if (value === undefined) throw broken(record, `is a ${kind}, but holds none`);
    return value;
  };
  const typed = (each: Message<'TypeProto'>) => need(decodeType(each));
  switch (kind) {
    case 'float':
      return { kind, value: record.f ?? 0 };
    case 'int':
      return { kind, value: record.i ?? 0 };
    case 'string':
      return { kind, value: textual(record.s ?? new Uint8Array(0)) };
    case 'tensor':
      return { kind, value: decodeTensorProto(need(record.t), folder) };
    case 'graph':
      return { kind, value: decodeGraphParts(need(record.g), folder) };
    case 'floats':
      return { kind, value: record.floats ?? [] };
    case 'ints':
      return { kind, value: record.ints ?? [] };
    case 'strings':
      return { kind, value: (record.strings ?? []).map(textual) };
    case 'tensors':
      return { kind, value: (record.tensors ?? []).map((each) => decodeTensorProto(each, folder)) };
    case 'graphs':
      return { kind, value: (record.graphs ?? []).map((each) => decodeGraphParts(each, folder)) };
    case 'sparse':
      return { kind, value: decodeSparse(need(record.sparse_tensor), folder) };
    case 'sparses':
      return { kind, value: (record.sparse_tensors ?? []).map((each) => decodeSparse(each, folder)) };
    case 'type':
      return { kind, value: typed(need(record.tp)) };
    case 'types':
      return { kind, value: (record.type_protos ?? []).map(typed) };
  }
}

const textual = (bytes: Uint8Array): string | Uint8Array => textOf(bytes) ?? bytes;

const broken = (record: AttributeProto, what: string): QuantcError =>
  new QuantcError('E_ONNX_ATTRIBUTE', `the attribute "${record.name ?? ''}" ${what}`);

/** Writes one attribute. */
export function encodeAttribute(name: string, attribute: Attribute, context: EncodeContext): AttributeProto {
  const extras = attribute.extras as AttributeExtras | undefined;
  const record: AttributeProto = { ...extras?.rest };
  if (name !== '') record.name = name;
  const kind = attribute.kind === 'ref' ? attribute.type : attribute.kind;
  if (!extras?.untyped) record.type = KINDS[kind].code;
  if (attribute.kind === 'ref') {
    record.ref_attr_name = attribute.name;
    return record;
  }
  if (extras?.absent && extras.absent.value === attribute.value) return record;
  return Object.assign(record, valueFields(attribute, context));
}

function valueFields(attribute: Exclude<Attribute, { kind: 'ref' }>, context: EncodeContext): AttributeProto {
  const { locate } = context;
  const graph = (each: Graph) => encodeGraph(each, context);
  switch (attribute.kind) {
    case 'float':
      return { f: attribute.value };
    case 'int':
      return { i: attribute.value };
    case 'string':
      return { s: rawText(attribute.value) };
    case 'tensor':
      return { t: encodeTensorProto(attribute.value, attribute.value.name, locate) };
    case 'graph':
      return { g: graph(attribute.value) };
    case 'floats':
      return { floats: [...attribute.value] };
    case 'ints':
      return { ints: [...attribute.value] };
    case 'strings':
      return { strings: attribute.value.map(rawText) };
    case 'tensors':
      return { tensors: attribute.value.map((each) => encodeTensorProto(each, each.name, locate)) };
    case 'graphs':
      return { graphs: attribute.value.map(graph) };
    case 'sparse':
      return { sparse_tensor: encodeSparse(attribute.value, attribute.value.values.name, locate) };
    case 'sparses':
      return { sparse_tensors: attribute.value.map((each) => encodeSparse(each, each.values.name, locate)) };
    case 'type':
      return { tp: encodeType(attribute.value) };
    case 'types':
      return { type_protos: attribute.value.map(encodeType) };
  }
}

const rawText = (value: string | Uint8Array): Uint8Array =>
  typeof value === 'string' ? Buffer.from(value) : value;
