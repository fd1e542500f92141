/**
 * ONNX's protobuf messages as one table: field name → number and kind, up to IR version 14. Everything that reads or
 * writes the wire is driven by it. The numbers are those of the format (`onnx-ml.proto`); groupings are our own.
 */
import type { Int } from '../ir/attribute.js';
import type { FileRange, Tensor } from '../ir/tensor.js';

/** Bulk bytes: in memory, still in a file, or (when writing only) whatever a tensor will give. */
export type Blob = Uint8Array | FileRange | Tensor;

/**
 * How one field is read.
 * - `string`: must be UTF-8; `bytes`: kept as they are (also for prose, which nobody needs decoded).
 * - `blob`: bytes that may be large and may stay in the file.
 * - `fixed32s`, `fixed64s`, `varints`: packed numbers kept as their encoded payload, never as JavaScript numbers.
 */
interface Scalars {
  string: string;
  bytes: Uint8Array;
  blob: Blob;
  int64: Int;
  int32: number;
  float: number;
  fixed32s: Blob;
  fixed64s: Blob;
  varints: Blob;
}

const one = <N extends number, K extends string>(number: N, kind: K) =>
  ({ number, kind, repeated: false }) as const;
const many = <N extends number, K extends string>(number: N, kind: K) =>
  ({ number, kind, repeated: true }) as const;
/** A member of a oneof: reading it clears the message's other members. */
const either = <N extends number, K extends string>(number: N, kind: K) =>
  ({ number, kind, repeated: false, oneof: true }) as const;

export const SCHEMA = {
  ModelProto: {
    ir_version: one(1, 'int64'),
    producer_name: one(2, 'string'),
    producer_version: one(3, 'string'),
    domain: one(4, 'bytes'),
    model_version: one(5, 'int64'),
    doc_string: one(6, 'bytes'),
    graph: one(7, 'GraphProto'),
    opset_import: many(8, 'OperatorSetIdProto'),
    metadata_props: many(14, 'StringStringEntryProto'),
    training_info: many(20, 'TrainingInfoProto'),
    functions: many(25, 'FunctionProto'),
    configuration: many(26, 'DeviceConfigurationProto'),
  },
  OperatorSetIdProto: { domain: one(1, 'string'), version: one(2, 'int64') },
  StringStringEntryProto: { key: one(1, 'bytes'), value: one(2, 'bytes') },
  DeviceConfigurationProto: {
    name: one(1, 'bytes'),
    num_devices: one(2, 'int32'),
    device: many(3, 'bytes'),
  },
  TrainingInfoProto: {
    initialization: one(1, 'GraphProto'),
    algorithm: one(2, 'GraphProto'),
    initialization_binding: many(3, 'StringStringEntryProto'),
    update_binding: many(4, 'StringStringEntryProto'),
  },
  FunctionProto: {
    name: one(1, 'string'),
    input: many(4, 'string'),
    output: many(5, 'string'),
    attribute: many(6, 'string'),
    node: many(7, 'NodeProto'),
    doc_string: one(8, 'bytes'),
    opset_import: many(9, 'OperatorSetIdProto'),
    domain: one(10, 'string'),
    attribute_proto: many(11, 'AttributeProto'),
    value_info: many(12, 'ValueInfoProto'),
    overload: one(13, 'string'),
    metadata_props: many(14, 'StringStringEntryProto'),
  },
  GraphProto: {
    node: many(1, 'NodeProto'),
    name: one(2, 'string'),
    initializer: many(5, 'TensorProto'),
    doc_string: one(10, 'bytes'),
    input: many(11, 'ValueInfoProto'),
    output: many(12, 'ValueInfoProto'),
    value_info: many(13, 'ValueInfoProto'),
    quantization_annotation: many(14, 'TensorAnnotation'),
    sparse_initializer: many(15, 'SparseTensorProto'),
    metadata_props: many(16, 'StringStringEntryProto'),
  },
  TensorAnnotation: {
    tensor_name: one(1, 'string'),
    quant_parameter_tensor_names: many(2, 'StringStringEntryProto'),
  },
  NodeProto: {
    input: many(1, 'string'),
    output: many(2, 'string'),
    name: one(3, 'string'),
    op_type: one(4, 'string'),
    attribute: many(5, 'AttributeProto'),
    doc_string: one(6, 'bytes'),
    domain: one(7, 'string'),
    overload: one(8, 'string'),
    metadata_props: many(9, 'StringStringEntryProto'),
    device_configurations: many(10, 'NodeDeviceConfigurationProto'),
  },
  NodeDeviceConfigurationProto: {
    configuration_id: one(1, 'bytes'),
    sharding_spec: many(2, 'ShardingSpecProto'),
    pipeline_stage: one(3, 'int32'),
  },
  ShardingSpecProto: {
    tensor_name: one(1, 'bytes'),
    device: many(2, 'int64'),
    index_to_device_group_map: many(3, 'IntIntListEntryProto'),
    sharded_dim: many(4, 'ShardedDimProto'),
  },
  IntIntListEntryProto: { key: one(1, 'int64'), value: many(2, 'int64') },
  ShardedDimProto: { axis: one(1, 'int64'), simple_sharding: many(2, 'SimpleShardedDimProto') },
  SimpleShardedDimProto: {
    dim_value: either(1, 'int64'),
    dim_param: either(2, 'bytes'),
    num_shards: one(3, 'int64'),
  },
  AttributeProto: {
    name: one(1, 'string'),
    f: one(2, 'float'),
    i: one(3, 'int64'),
    s: one(4, 'bytes'),
    t: one(5, 'TensorProto'),
    g: one(6, 'GraphProto'),
    floats: many(7, 'float'),
    ints: many(8, 'int64'),
    strings: many(9, 'bytes'),
    tensors: many(10, 'TensorProto'),
    graphs: many(11, 'GraphProto'),
    doc_string: one(13, 'bytes'),
    tp: one(14, 'TypeProto'),
    type_protos: many(15, 'TypeProto'),
    type: one(20, 'int32'),
    ref_attr_name: one(21, 'string'),
    sparse_tensor: one(22, 'SparseTensorProto'),
    sparse_tensors: many(23, 'SparseTensorProto'),
  },
  ValueInfoProto: {
    name: one(1, 'string'),
    type: one(2, 'TypeProto'),
    doc_string: one(3, 'bytes'),
    metadata_props: many(4, 'StringStringEntryProto'),
  },
  TensorProto: {
    dims: many(1, 'int64'),
    data_type: one(2, 'int32'),
    segment: one(3, 'Segment'),
    float_data: one(4, 'fixed32s'),
    int32_data: one(5, 'varints'),
    string_data: many(6, 'bytes'),
    int64_data: one(7, 'varints'),
    name: one(8, 'string'),
    raw_data: one(9, 'blob'),
    double_data: one(10, 'fixed64s'),
    uint64_data: one(11, 'varints'),
    doc_string: one(12, 'bytes'),
    external_data: many(13, 'StringStringEntryProto'),
    data_location: one(14, 'int32'),
    metadata_props: many(16, 'StringStringEntryProto'),
  },
  Segment: { begin: one(1, 'int64'), end: one(2, 'int64') },
  SparseTensorProto: {
    values: one(1, 'TensorProto'),
    indices: one(2, 'TensorProto'),
    dims: many(3, 'int64'),
  },
  TypeProto: {
    tensor_type: either(1, 'TensorTypeProto'),
    sequence_type: either(4, 'ElementTypeProto'),
    map_type: either(5, 'MapTypeProto'),
    denotation: one(6, 'bytes'),
    opaque_type: either(7, 'OpaqueTypeProto'),
    sparse_tensor_type: either(8, 'TensorTypeProto'),
    optional_type: either(9, 'ElementTypeProto'),
  },
  /** TypeProto.Tensor and TypeProto.SparseTensor. */
  TensorTypeProto: { elem_type: one(1, 'int32'), shape: one(2, 'TensorShapeProto') },
  /** TypeProto.Sequence and TypeProto.Optional. */
  ElementTypeProto: { elem_type: one(1, 'TypeProto') },
  MapTypeProto: { key_type: one(1, 'int32'), value_type: one(2, 'TypeProto') },
  OpaqueTypeProto: { domain: one(1, 'string'), name: one(2, 'string') },
  TensorShapeProto: { dim: many(1, 'DimensionProto') },
  DimensionProto: {
    dim_value: either(1, 'int64'),
    dim_param: either(2, 'string'),
    denotation: one(3, 'bytes'),
  },
} as const;

type Schema = typeof SCHEMA;
export type MessageName = keyof Schema;

type ValueOf<K> = K extends keyof Scalars ? Scalars[K] : K extends MessageName ? Message<K> : never;

/** A message as plain data. A field that the wire did not have is absent; `unknown` holds fields we have no name for. */
export type Message<M extends MessageName> = {
  -readonly [F in keyof Schema[M]]?: Schema[M][F] extends { repeated: infer R; kind: infer K }
    ? R extends true
      ? ValueOf<K>[]
      : ValueOf<K>
    : never;
} & {
  /** Unknown fields, each with its tag, as they stood. */
  unknown?: Uint8Array[];
};

/** One field, made ready for the wire. */
export interface Field {
  readonly name: string;
  readonly number: number;
  readonly kind: keyof Scalars | 'message';
  readonly repeated: boolean;
  /** Names of the other members of its oneof. */
  readonly rivals: readonly string[];
  /** Layout of the nested message, for `message` fields. */
  readonly layout: Layout | undefined;
}

/** One message, made ready for the wire: its fields by number, and from the highest number to the lowest. */
export interface Layout {
  readonly name: MessageName;
  readonly byNumber: readonly (Field | undefined)[];
  readonly descending: readonly Field[];
}

const layouts = new Map<string, Layout>();

/** The layout of a message; made when first asked for. */
export function layoutOf(name: MessageName): Layout {
  const known = layouts.get(name);
  if (known !== undefined) return known;
  const byNumber: (Field | undefined)[] = [];
  const descending: Field[] = [];
  const layout: Layout = { name, byNumber, descending };
  layouts.set(name, layout);
  const entries = Object.entries(SCHEMA[name]) as [
    string,
    { number: number; kind: string; repeated: boolean; oneof?: boolean },
  ][];
  for (const [fieldName, { number, kind, repeated, oneof }] of entries) {
    const nested = kind in SCHEMA;
    const field: Field = {
      name: fieldName,
      number,
      kind: nested ? 'message' : (kind as keyof Scalars),
      repeated,
      rivals: oneof ? entries.filter(([n, f]) => f.oneof && n !== fieldName).map(([n]) => n) : [],
      layout: nested ? layoutOf(kind as MessageName) : undefined,
    };
    byNumber[number] = field;
    descending.push(field);
  }
  descending.sort((a, b) => b.number - a.number);
  return layout;
}
