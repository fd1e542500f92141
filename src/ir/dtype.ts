import { QuantcError } from '../errors/error.js';

/** The typed array that holds one element per entry, for dtypes that have one; sub-byte dtypes stay packed. */
export type TypedArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

interface ArrayType {
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): TypedArray;
  readonly BYTES_PER_ELEMENT: number;
}

interface DTypeFacts {
  /** TensorProto.DataType. */
  readonly code: number;
  /** Bits of one element; 0 for strings. */
  readonly bits: number;
  /** View over raw bytes. 16-bit floats view as Uint16Array (bit patterns), 8-bit floats as Uint8Array. */
  readonly array: ArrayType;
  readonly kind: 'float' | 'int' | 'uint' | 'bool' | 'string' | 'complex';
}

/** Names are those of ONNX's textual syntax; codes are those of `TensorProto.DataType`. */
const TABLE = {
  float: { code: 1, bits: 32, array: Float32Array, kind: 'float' },
  uint8: { code: 2, bits: 8, array: Uint8Array, kind: 'uint' },
  int8: { code: 3, bits: 8, array: Int8Array, kind: 'int' },
  uint16: { code: 4, bits: 16, array: Uint16Array, kind: 'uint' },
  int16: { code: 5, bits: 16, array: Int16Array, kind: 'int' },
  int32: { code: 6, bits: 32, array: Int32Array, kind: 'int' },
  int64: { code: 7, bits: 64, array: BigInt64Array, kind: 'int' },
  string: { code: 8, bits: 0, array: Uint8Array, kind: 'string' },
  bool: { code: 9, bits: 8, array: Uint8Array, kind: 'bool' },
  float16: { code: 10, bits: 16, array: Uint16Array, kind: 'float' },
  double: { code: 11, bits: 64, array: Float64Array, kind: 'float' },
  uint32: { code: 12, bits: 32, array: Uint32Array, kind: 'uint' },
  uint64: { code: 13, bits: 64, array: BigUint64Array, kind: 'uint' },
  complex64: { code: 14, bits: 64, array: Float32Array, kind: 'complex' },
  complex128: { code: 15, bits: 128, array: Float64Array, kind: 'complex' },
  bfloat16: { code: 16, bits: 16, array: Uint16Array, kind: 'float' },
  float8e4m3fn: { code: 17, bits: 8, array: Uint8Array, kind: 'float' },
  float8e4m3fnuz: { code: 18, bits: 8, array: Uint8Array, kind: 'float' },
  float8e5m2: { code: 19, bits: 8, array: Uint8Array, kind: 'float' },
  float8e5m2fnuz: { code: 20, bits: 8, array: Uint8Array, kind: 'float' },
  uint4: { code: 21, bits: 4, array: Uint8Array, kind: 'uint' },
  int4: { code: 22, bits: 4, array: Uint8Array, kind: 'int' },
  float4e2m1: { code: 23, bits: 4, array: Uint8Array, kind: 'float' },
  float8e8m0: { code: 24, bits: 8, array: Uint8Array, kind: 'float' },
  uint2: { code: 25, bits: 2, array: Uint8Array, kind: 'uint' },
  int2: { code: 26, bits: 2, array: Uint8Array, kind: 'int' },
  float6e2m3: { code: 27, bits: 6, array: Uint8Array, kind: 'float' },
  float6e3m2: { code: 28, bits: 6, array: Uint8Array, kind: 'float' },
} as const satisfies Record<string, DTypeFacts>;

/** Element type of a tensor, spelled as ONNX's textual syntax spells it. */
export type DType = keyof typeof TABLE;

export const DTYPES = Object.keys(TABLE) as readonly DType[];

const BY_CODE = new Map<number, DType>(DTYPES.map((name) => [TABLE[name].code, name]));

/** Facts of one dtype: its ONNX code, bits an element, and the typed array that views its raw bytes. */
export function dtypeFacts(dtype: DType): DTypeFacts {
  return TABLE[dtype];
}

/**
 * The dtype of a `TensorProto.DataType` number.
 * @throws QuantcError E_DTYPE_UNKNOWN when ONNX defines no such number (up to IR version 14).
 */
export function dtypeOfCode(code: number): DType {
  const dtype = BY_CODE.get(code);
  if (dtype === undefined) {
    throw new QuantcError('E_DTYPE_UNKNOWN', `data type ${code} is not one that ONNX defines`);
  }
  return dtype;
}

/** Bytes that `count` elements take as ONNX raw data: sub-byte elements are packed, the last byte padded. */
export function byteLengthOf(dtype: DType, count: number): number {
  return Math.ceil((TABLE[dtype].bits * count) / 8);
}

export const isFloat = (dtype: DType): boolean => TABLE[dtype].kind === 'float';
export const isInteger = (dtype: DType): boolean =>
  TABLE[dtype].kind === 'int' || TABLE[dtype].kind === 'uint';
