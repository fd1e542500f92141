import type { DType } from './dtype.js';

/** One dimension: a number, a symbolic name (`dim_param`), or null where nothing is known. */
export type Dim = number | string | null;

interface TypeBase {
  /** Protobuf fields that the IR does not model; kept by the codec, opaque to everybody else. */
  readonly extras?: unknown;
}
export interface TensorType extends TypeBase {
  readonly kind: 'tensor' | 'sparse';
  readonly dtype: DType;
  /** Absent when even the rank is unknown. */
  readonly shape?: readonly Dim[];
}
export interface SequenceType extends TypeBase {
  readonly kind: 'sequence' | 'optional';
  readonly element: Type | undefined;
}
export interface MapType extends TypeBase {
  readonly kind: 'map';
  readonly key: DType;
  readonly value: Type | undefined;
}
export interface OpaqueType extends TypeBase {
  readonly kind: 'opaque';
  readonly domain: string;
  readonly name: string;
}
/** Type of a value, immutable: to change it, set another one. */
export type Type = TensorType | SequenceType | MapType | OpaqueType;

export const tensorType = (dtype: DType, shape?: readonly Dim[]): TensorType => ({
  kind: 'tensor',
  dtype,
  shape,
});

/** True when every dimension is a number. */
export function isStatic(shape: readonly Dim[] | undefined): shape is readonly number[] {
  return shape?.every((dim) => typeof dim === 'number') ?? false;
}

/** Number of elements of a static shape; 1 for a scalar. */
export const elementCount = (shape: readonly number[]): number =>
  shape.reduce((product, dim) => product * dim, 1);
