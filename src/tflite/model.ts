/** A TensorFlow Lite model as plain data: what {@link encodeTflite} writes. */
import type { OperatorName, TensorTypeName } from './schema.js';

/** Real value = scale · (q − zeroPoint); one entry for the whole tensor, or one for each index along `axis`. */
export interface TfQuantization {
  readonly scale: readonly number[];
  readonly zeroPoint: readonly number[];
  readonly axis: number;
}

/** Bytes of a constant, little-endian and row-major; read while the file is written and not kept. */
export interface TfData {
  readonly byteLength: number;
  readonly read: () => Uint8Array;
}

export interface TfTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: TensorTypeName;
  readonly quantization?: TfQuantization;
  readonly data?: TfData;
}

export type TfOptions = Readonly<Record<string, number | boolean | readonly number[]>>;

export interface TfOperator {
  readonly op: OperatorName;
  /** Tensors by index; −1 is an omitted one. */
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** By the names of the operator's fields in `schema.ts`. */
  readonly options: TfOptions;
}

/** An input or output as callers know it: its name in the signature, and the tensor. */
export interface TfPort {
  readonly name: string;
  readonly tensor: number;
}

export interface TfModel {
  readonly description: string;
  readonly name: string;
  readonly tensors: readonly TfTensor[];
  readonly operators: readonly TfOperator[];
  readonly inputs: readonly TfPort[];
  readonly outputs: readonly TfPort[];
  /** Texts kept under a name beside the graph. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Data over bytes that are there already. */
export const dataOf = (view: ArrayBufferView): TfData => {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  return { byteLength: bytes.byteLength, read: () => bytes };
};
