/** TypeProto ⇄ Type. */
import { QuantcError } from '../errors/error.js';
import type { Int } from '../ir/attribute.js';
import { type DType, dtypeFacts, dtypeOfCode } from '../ir/dtype.js';
import type { Dim, Type } from '../ir/type.js';
import type { Message } from './schema.js';

/** What a type was read from, kept only where the type alone would be written differently (denotations …). */
interface TypeExtras {
  readonly record: Message<'TypeProto'>;
  /** Fields of the type as they were read: a copy with other fields makes the record stale. */
  readonly fields: readonly unknown[];
}

/** The type, or nothing where the message leaves out what a type cannot do without (its kind, its element type). */
export function decodeType(record: Message<'TypeProto'>): Type | undefined {
  const plain = typeOf(record);
  if (plain === undefined || sameMessage(plainType(plain), record)) return plain;
  return { ...plain, extras: { record, fields: fieldsOf(plain) } satisfies TypeExtras };
}

export function encodeType(type: Type): Message<'TypeProto'> {
  const extras = type.extras as TypeExtras | undefined;
  if (extras === undefined) return plainType(type);
  const fields = fieldsOf(type);
  if (fields.every((field, index) => field === extras.fields[index])) return extras.record;
  const { denotation } = extras.record;
  return denotation === undefined ? plainType(type) : { ...plainType(type), denotation };
}

function typeOf(record: Message<'TypeProto'>): Type | undefined {
  const { tensor_type, sparse_tensor_type, sequence_type, optional_type, map_type, opaque_type } = record;
  const tensor = tensor_type ?? sparse_tensor_type;
  if (tensor !== undefined) {
    if (!tensor.elem_type) return undefined;
    const dtype = dtypeOfCode(tensor.elem_type);
    const kind = tensor_type ? 'tensor' : 'sparse';
    return tensor.shape === undefined
      ? { kind, dtype }
      : { kind, dtype, shape: (tensor.shape.dim ?? []).map(decodeDim) };
  }
  const list = sequence_type ?? optional_type;
  if (list !== undefined) {
    return {
      kind: sequence_type ? 'sequence' : 'optional',
      element: list.elem_type && decodeType(list.elem_type),
    };
  }
  if (map_type !== undefined) {
    if (!map_type.key_type) return undefined;
    return {
      kind: 'map',
      key: dtypeOfCode(map_type.key_type),
      value: map_type.value_type && decodeType(map_type.value_type),
    };
  }
  if (opaque_type !== undefined) {
    return { kind: 'opaque', domain: opaque_type.domain ?? '', name: opaque_type.name ?? '' };
  }
  return undefined;
}

/** A negative size, which some exporters write, means what it means to ONNX Runtime: unknown. */
function decodeDim(dim: Message<'DimensionProto'>): Dim {
  if (dim.dim_value !== undefined) return dim.dim_value < 0 ? null : sizeOf(dim.dim_value);
  return dim.dim_param || null;
}

function sizeOf(value: Int): number {
  if (typeof value === 'number') return value;
  throw new QuantcError('E_ONNX_SHAPE', `a dimension of ${value} is beyond any tensor`);
}

function plainType(type: Type): Message<'TypeProto'> {
  switch (type.kind) {
    case 'tensor':
      return { tensor_type: tensorPart(type.dtype, type.shape) };
    case 'sparse':
      return { sparse_tensor_type: tensorPart(type.dtype, type.shape) };
    case 'sequence':
      return { sequence_type: elementPart(type.element) };
    case 'optional':
      return { optional_type: elementPart(type.element) };
    case 'map': {
      const key_type = dtypeFacts(type.key).code;
      return { map_type: type.value ? { key_type, value_type: encodeType(type.value) } : { key_type } };
    }
    case 'opaque': {
      const { domain, name } = type;
      return { opaque_type: { ...(domain && { domain }), ...(name && { name }) } };
    }
  }
}

const elementPart = (element: Type | undefined): Message<'ElementTypeProto'> =>
  element === undefined ? {} : { elem_type: encodeType(element) };

function tensorPart(dtype: DType, shape: readonly Dim[] | undefined): Message<'TensorTypeProto'> {
  const elem_type = dtypeFacts(dtype).code;
  if (shape === undefined) return { elem_type };
  if (shape.length === 0) return { elem_type, shape: {} };
  const dim = shape.map((each) =>
    each === null ? {} : typeof each === 'string' ? { dim_param: each } : { dim_value: each },
  );
  return { elem_type, shape: { dim } };
}

function fieldsOf(type: Type): unknown[] {
  switch (type.kind) {
    case 'tensor':
    case 'sparse':
      return [type.kind, type.dtype, type.shape];
    case 'sequence':
    case 'optional':
      return [type.kind, type.element];
    case 'map':
      return [type.kind, type.key, type.value];
    case 'opaque':
      return [type.kind, type.domain, type.name];
  }
}

/** Deep equality of plain messages; absent and `undefined` are the same. Bytes never occur in a plain type. */
function sameMessage(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (a instanceof Uint8Array || b instanceof Uint8Array) return false;
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  const keys = Object.keys(right);
  if (Object.keys(left).length !== keys.length) return false;
  return keys.every((key) => sameMessage(left[key], right[key]));
}
