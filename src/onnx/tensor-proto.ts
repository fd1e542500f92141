/** TensorProto and SparseTensorProto ⇄ Tensor. */
import { QuantcError } from '../errors/error.js';
import type { Int, SparseTensor } from '../ir/attribute.js';
import { byteLengthOf, type DType, dtypeFacts, dtypeOfCode } from '../ir/dtype.js';
import { readRange, Tensor, type TensorSource } from '../ir/tensor.js';
import { decodePlace, type ExternalFolder, type ExternalPlace, encodePlace } from './external-data.js';
import type { Blob, Message } from './schema.js';
import { countVarints, rawFromVarints, type TypedField, typedFieldOf, varintForm } from './typed-data.js';

type TensorProto = Message<'TensorProto'>;
type Entries = readonly Message<'StringStringEntryProto'>[];

/** What the IR's tensor does not say of the message it was read from. */
export interface TensorExtras {
  /** Documentation, metadata, segment, unknown fields. */
  readonly rest: TensorProto;
  /** Present when the data stood in a typed field, as it stood; `undefined` payload: there was no data at all. */
  readonly typed?: { readonly field: TypedField; readonly payload: Blob } | 'none';
  /** Present when the data stood in another file. */
  readonly external?: { readonly place: ExternalPlace; readonly entries: Entries };
}

/** Decides which tensors go to another file, and where; `undefined` keeps one in the model. */
export type LocateTensor = (tensor: Tensor) => ExternalPlace | undefined;

/**
 * Reads a tensor. Data that is in memory is viewed, not copied, unless it stands in a field of varints.
 * @throws QuantcError E_DTYPE_UNKNOWN, E_ONNX_SHAPE for a negative or enormous dimension, E_ONNX_TENSOR_DATA when data
 * and shape disagree, E_ONNX_EXTERNAL… (see `ExternalFolder`).
 */
export function decodeTensorProto(record: TensorProto, folder: ExternalFolder | undefined): Tensor {
  const { dims, data_type, name = '', raw_data, ...others } = record;
  if (record.name === '') (others as TensorProto).name = '';
  const shape = decodeShape(dims ?? [], name);
  const dtype = dtypeOfCode(data_type ?? 0);
  const count = countOf(shape, name);
  const make = (source: TensorSource, rest: TensorProto, form: Omit<TensorExtras, 'rest'>): Tensor => {
    const plain = Object.keys(rest).length === 0 && Object.keys(form).length === 0;
    return new Tensor(dtype, shape, source, plain ? { name } : { name, extras: { rest, ...form } });
  };
  const needed = byteLengthOf(dtype, count);
  if (record.data_location === 1 && dtype !== 'string') {
    const { external_data, data_location, ...rest } = others;
    if (folder === undefined) {
      throw new QuantcError(
        'E_ONNX_EXTERNAL_FOLDER',
        'the model has external data, but no folder to look in',
        {
          place: { value: name },
          hint: 'Read the model from its file, or say with `origin.file` where it lies.',
        },
      );
    }
    const entries = external_data ?? [];
    const place = decodePlace(entries, needed, name);
    const kept = raw_data === undefined ? rest : { ...rest, raw_data };
    return make({ kind: 'file', ...folder.range(place) }, kept, { external: { place, entries } });
  }
  if (dtype === 'string') {
    const { string_data = [], ...rest } = others;
    if (string_data.length !== count) throw disagree(record, `${string_data.length} strings`, `${count}`);
    const kept = raw_data === undefined ? rest : { ...rest, raw_data };
    return make({ kind: 'strings', values: string_data }, kept, {});
  }
  if (raw_data !== undefined) {
    if (sizeOf(raw_data) !== needed) throw disagree(record, `${sizeOf(raw_data)} bytes`, `${needed}`);
    return make(sourceOf(raw_data), others, {});
  }
  const field = typedFieldOf(dtype)!;
  const { [field]: payload, ...rest } = others;
  if (payload === undefined) {
    if (needed !== 0) throw disagree(record, 'no data', `${needed} bytes`);
    return make({ kind: 'memory', bytes: new Uint8Array(0) }, rest, { typed: 'none' });
  }
  return make(typedSource(record, dtype, count, payload), rest, { typed: { field, payload } });
}

function typedSource(record: TensorProto, dtype: DType, count: number, payload: Blob): TensorSource {
  const needed = byteLengthOf(dtype, count);
  const field = typedFieldOf(dtype);
  if (field === 'float_data' || field === 'double_data') {
    if (sizeOf(payload) !== needed) throw disagree(record, `${sizeOf(payload)} bytes`, `${needed}`);
    return sourceOf(payload);
  }
  const bytes =
    payload instanceof Uint8Array ? payload : readRange(payload as Exclude<Blob, Uint8Array | Tensor>);
  const found = countVarints(bytes);
  const { numbers } = varintForm(dtype, count);
  if (found !== numbers) throw disagree(record, `${found ?? 'broken'} numbers`, `${numbers}`);
  if (payload instanceof Uint8Array) return { kind: 'memory', bytes: rawFromVarints(bytes, dtype, count) };
  const stored = new Tensor('uint8', [bytes.byteLength], sourceOf(payload));
  return {
    kind: 'derived',
    from: [stored],
    compute: ([from]) => rawFromVarints(from!.bytes(), dtype, count),
  };
}

const sourceOf = (blob: Blob): TensorSource => {
  if (blob instanceof Uint8Array) return { kind: 'memory', bytes: blob };
  return blob instanceof Tensor ? blob.source : { kind: 'file', ...blob };
};

const sizeOf = (blob: Blob): number => {
  if (blob instanceof Uint8Array) return blob.byteLength;
  return blob instanceof Tensor ? blob.byteLength : blob.length;
};

/** Dimensions of a constant. */
export function decodeShape(dims: readonly Int[], name: string): number[] {
  for (const dim of dims) {
    if (typeof dim === 'bigint' || dim < 0) {
      throw new QuantcError('E_ONNX_SHAPE', `a constant cannot have a dimension of ${dim}`, {
        place: { value: name },
      });
    }
  }
  return dims as number[];
}

function countOf(shape: readonly number[], name: string): number {
  let count = 1;
  for (const dim of shape) count *= dim;
  // Well inside the exact range, so that counts of bits (128 an element at most) are exact too.
  if (count <= Number.MAX_SAFE_INTEGER / 256) return count;
  throw new QuantcError('E_ONNX_SHAPE', `the shape [${shape.join(', ')}] has more elements than any file`, {
    place: { value: name },
  });
}

const disagree = (record: TensorProto, found: string, wanted: string): QuantcError =>
  new QuantcError(
    'E_ONNX_TENSOR_DATA',
    `the tensor "${record.name ?? ''}" of shape [${(record.dims ?? []).join(', ')}] holds ${found} where ${wanted} are needed`,
    { place: { value: record.name }, hint: 'The file is damaged, or its weights were stripped.' },
  );

/**
 * Writes a tensor under a name, in the form in which it was read; a tensor of our own has raw data. Bytes are not
 * asked for here: they stand in the message as a view, a range, or the tensor itself.
 */
export function encodeTensorProto(tensor: Tensor, name: string, locate?: LocateTensor): TensorProto {
  const extras = tensor.extras as TensorExtras | undefined;
  const record: TensorProto = { ...extras?.rest, data_type: dtypeFacts(tensor.dtype).code };
  if (tensor.shape.length > 0) record.dims = [...tensor.shape];
  if (name !== '') record.name = name;
  const { source } = tensor;
  if (source.kind === 'strings') {
    if (source.values.length > 0) record.string_data = [...source.values];
    return record;
  }
  const at = locate?.(tensor);
  if (at !== undefined) {
    record.data_location = 1;
    const same = extras?.external && samePlace(extras.external.place, at);
    record.external_data = same
      ? [...extras.external!.entries]
      : encodePlace(at, extras?.external?.entries ?? []);
  } else if (extras?.typed === 'none') return record;
  else if (extras?.typed) record[extras.typed.field] = extras.typed.payload;
  else record.raw_data = source.kind === 'memory' ? source.bytes : tensor;
  return record;
}

const samePlace = (a: ExternalPlace, b: ExternalPlace): boolean =>
  a.location === b.location && a.offset === b.offset && a.length === b.length;

/** @throws QuantcError E_ONNX_TENSOR_DATA when values or indices are missing; else as `decodeTensorProto`. */
export function decodeSparse(
  record: Message<'SparseTensorProto'>,
  folder: ExternalFolder | undefined,
): SparseTensor {
  const { values, indices, dims, ...rest } = record;
  if (values === undefined || indices === undefined) {
    throw new QuantcError('E_ONNX_TENSOR_DATA', 'a sparse tensor lacks its values or its indices');
  }
  const sparse = {
    values: decodeTensorProto(values, folder),
    indices: decodeTensorProto(indices, folder),
    shape: decodeShape(dims ?? [], values.name ?? ''),
  };
  return Object.keys(rest).length === 0 ? sparse : { ...sparse, extras: rest };
}

export function encodeSparse(
  sparse: SparseTensor,
  name: string,
  locate?: LocateTensor,
): Message<'SparseTensorProto'> {
  const record: Message<'SparseTensorProto'> = {
    ...(sparse.extras as Message<'SparseTensorProto'> | undefined),
    values: encodeTensorProto(sparse.values, name, locate),
    indices: encodeTensorProto(sparse.indices, sparse.indices.name, locate),
  };
  if (sparse.shape.length > 0) record.dims = [...sparse.shape];
  return record;
}
