/** From what a module gives for an input to the tensor that the model takes. */
import { QuantcError } from '../../errors/error.js';
import { type DType, isFloat } from '../../ir/dtype.js';
import { Tensor } from '../../ir/tensor.js';
import { elementCount, type TensorType } from '../../ir/type.js';
import { checkTransform, transformRows } from '../transform.js';

/** What a module may give for an input: see `docs/data.md`. */
export type FeedValue =
  | Tensor
  | ArrayBufferView
  | number
  | bigint
  | boolean
  | readonly FeedValue[]
  /** A tensor of onnxruntime-node has this form too. */
  | {
      readonly data: ArrayBufferView | readonly (number | bigint | boolean)[];
      readonly dims?: readonly number[];
      readonly shape?: readonly number[];
      readonly type?: string;
    };

interface Place {
  readonly file: string;
  readonly value: string;
}

/** Dtypes by the names that onnxruntime-node gives them, where they differ from ONNX's. */
const RUNTIME_NAMES: Readonly<Record<string, DType>> = { float32: 'float', float64: 'double' };

const VIEWS: readonly (readonly [new (...parameters: never[]) => ArrayBufferView, DType])[] = [
  [Float32Array, 'float'],
  [Float64Array, 'double'],
  [Int8Array, 'int8'],
  [Uint8Array, 'uint8'],
  [Uint8ClampedArray, 'uint8'],
  [Int16Array, 'int16'],
  [Uint16Array, 'uint16'],
  [Int32Array, 'int32'],
  [Uint32Array, 'uint32'],
  [BigInt64Array, 'int64'],
  [BigUint64Array, 'uint64'],
];

/**
 * The tensor of one input: converted to the model's dtype, in the shape that was given or follows from the model's.
 * @throws QuantcError E_DATA_DTYPE for what cannot become such a tensor, E_DATA_SHAPE where its elements do not fit,
 * E_DATA_RANGE, E_DATA_NAN
 */
export function feedTensor(value: unknown, type: TensorType | undefined, place: Place): Tensor {
  const given = asGiven(value, type, place);
  const dtype = type?.dtype ?? given.dtype;
  checkTransform(given.dtype, dtype, given.shape, undefined, place);
  return transformRows(given, dtype, undefined, place);
}

function asGiven(value: unknown, type: TensorType | undefined, place: Place): Tensor {
  if (value instanceof Tensor) return value;
  if (ArrayBuffer.isView(value)) return ofView(value, undefined, undefined, type, place);
  if (typeof value === 'object' && value !== null && 'data' in value) {
    const {
      data,
      dims,
      shape,
      type: name,
    } = value as { data: unknown; dims?: number[]; shape?: number[]; type?: string };
    const sizes = dims ?? shape;
    if (ArrayBuffer.isView(data)) return ofView(data, sizes, name, type, place);
    if (Array.isArray(data)) return ofNumbers(data, sizes ?? [data.length], type, place);
  }
  if (Array.isArray(value) || ['number', 'bigint', 'boolean'].includes(typeof value)) {
    const shape = shapeOf(value, place);
    return ofNumbers([value].flat(Number.POSITIVE_INFINITY), shape, type, place);
  }
  throw wrongType(`a ${value === null ? 'null' : typeof value} is no tensor`, place);
}

const wrongType = (why: string, place: Place): QuantcError =>
  new QuantcError('E_DATA_DTYPE', why, {
    place,
    hint: 'Give a typed array, { data, dims }, a nested list of numbers, or a Tensor.',
  });

const wrongShape = (why: string, place: Place): QuantcError =>
  new QuantcError('E_DATA_SHAPE', why, { place });

function ofView(
  view: ArrayBufferView,
  sizes: readonly number[] | undefined,
  name: string | undefined,
  type: TensorType | undefined,
  place: Place,
): Tensor {
  const seen = VIEWS.find(([each]) => view instanceof each)?.[1];
  // Typed arrays have no kind of their own for these: the name that comes along, or the model's dtype, tells.
  const said = name === undefined ? type?.dtype : (RUNTIME_NAMES[name] ?? name);
  const viewed =
    seen === 'uint16' && said === 'float16' ? 'float16' : seen === 'uint8' && said === 'bool' ? 'bool' : seen;
  // Node 20 has no Float16Array; newer ones and the ponyfill do.
  const dtype = view.constructor.name === 'Float16Array' ? 'float16' : viewed;
  if (dtype === undefined) throw wrongType(`a ${view.constructor.name} is no array of elements`, place);
  const { length } = view as unknown as { length: number };
  const shape = sizes ?? fromModel(length, type, place);
  if (elementCount(shape) !== length) throw wrongShape(`${length} elements are not [${shape}]`, place);
  return Tensor.of(dtype, shape, view);
}

/** The model's shape, where all dimensions but one are known; of several open ones the first is a batch of 1. */
function fromModel(length: number, type: TensorType | undefined, place: Place): number[] {
  const dims = type?.shape;
  if (dims === undefined) throw wrongShape('the model does not say its shape: give { data, dims }', place);
  const open = dims.flatMap((dim, axis) => (typeof dim === 'number' && dim > 0 ? [] : [axis]));
  const solved = open.length > 1 && open[0] === 0 ? open[1] : open[0];
  const shape = dims.map((dim) => (typeof dim === 'number' && dim > 0 ? dim : 1));
  if (open.length > 2 || (open.length === 2 && open[0] !== 0))
    throw wrongShape(
      `[${dims.map((dim) => dim ?? '?')}] leaves more than one size open: give { data, dims }`,
      place,
    );
  if (solved !== undefined) shape[solved] = length / elementCount(shape);
  if (!shape.every(Number.isInteger) || elementCount(shape) !== length)
    throw wrongShape(`${length} elements do not fill [${dims.map((dim) => dim ?? '?')}]`, place);
  return shape;
}

function shapeOf(value: unknown, place: Place): number[] {
  if (!Array.isArray(value)) return [];
  const inner = value.map((each) => shapeOf(each, place));
  const [first = []] = inner;
  if (inner.some((shape) => shape.join() !== first.join()))
    throw wrongShape('the lists differ in length', place);
  return [value.length, ...first];
}

/** Plain numbers become doubles where the model takes floats, int64 where it does not. */
function ofNumbers(
  values: readonly unknown[],
  shape: readonly number[],
  type: TensorType | undefined,
  place: Place,
): Tensor {
  if (elementCount(shape) !== values.length)
    throw wrongShape(`${values.length} elements are not [${shape}]`, place);
  const strange = values.find((each) => !['number', 'bigint', 'boolean'].includes(typeof each));
  if (strange !== undefined) throw wrongType(`a ${typeof strange} is no number`, place);
  const numbers = values as readonly (number | bigint | boolean)[];
  if (type === undefined ? !numbers.every(Number.isInteger) : isFloat(type.dtype))
    return Tensor.of('double', shape, Float64Array.from(numbers, Number));
  if (type?.dtype === 'bool')
    return Tensor.of(
      'bool',
      shape,
      Uint8Array.from(numbers, (each) => (each ? 1 : 0)),
    );
  const fraction = numbers.find((each) => typeof each === 'number' && !Number.isSafeInteger(each));
  if (fraction !== undefined) throw wrongType(`${fraction} cannot be ${type?.dtype}`, place);
  return Tensor.of('int64', shape, BigInt64Array.from(numbers, BigInt));
}
