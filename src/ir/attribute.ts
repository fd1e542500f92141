import type { Graph } from './graph.js';
import { Tensor } from './tensor.js';
import type { Type } from './type.js';

/** An int64: a plain number where it is exact, a bigint beyond 2^53. */
export type Int = number | bigint;

/**
 * One attribute of a node, tagged with its ONNX kind. `ref` stands for an attribute of the enclosing function
 * (`ref_attr_name`). Strings are kept as they are written; those that are not UTF-8 are `bytes`.
 */
export type AttributeValue =
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'int'; readonly value: Int }
  | { readonly kind: 'string'; readonly value: string | Uint8Array }
  | { readonly kind: 'tensor'; readonly value: Tensor }
  | { readonly kind: 'graph'; readonly value: Graph }
  | { readonly kind: 'type'; readonly value: Type }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'ints'; readonly value: readonly Int[] }
  | { readonly kind: 'strings'; readonly value: readonly (string | Uint8Array)[] }
  | { readonly kind: 'tensors'; readonly value: readonly Tensor[] }
  | { readonly kind: 'graphs'; readonly value: readonly Graph[] }
  | { readonly kind: 'types'; readonly value: readonly Type[] }
  | { readonly kind: 'sparse'; readonly value: SparseTensor }
  | { readonly kind: 'sparses'; readonly value: readonly SparseTensor[] }
  | { readonly kind: 'ref'; readonly name: string; readonly type: AttributeKind };

export type AttributeKind = Exclude<AttributeValue['kind'], 'ref'>;

export type Attribute = AttributeValue & { readonly extras?: unknown };

/** A constant in coordinate form: `values` at `indices` of a dense shape (`SparseTensorProto`). */
export interface SparseTensor {
  readonly values: Tensor;
  readonly indices: Tensor;
  readonly shape: readonly number[];
  readonly extras?: unknown;
}

/** What an author may write for an attribute: plain JavaScript where its kind is clear, tagged otherwise. */
export type AttributeInput =
  | number
  | bigint
  | boolean
  | string
  | readonly number[]
  | readonly string[]
  | Tensor
  | Attribute;

/** Turns what an author wrote into a tagged attribute: a number is an int where it is whole. */
export function toAttribute(input: AttributeInput): Attribute {
  if (typeof input === 'number')
    return Number.isInteger(input) ? { kind: 'int', value: input } : { kind: 'float', value: input };
  if (typeof input === 'bigint') return { kind: 'int', value: input };
  if (typeof input === 'boolean') return { kind: 'int', value: input ? 1 : 0 };
  if (typeof input === 'string') return { kind: 'string', value: input };
  if (input instanceof Tensor) return { kind: 'tensor', value: input };
  if (Array.isArray(input)) {
    if (input.some((each) => typeof each === 'string')) return { kind: 'strings', value: input as string[] };
    return (input as number[]).every(Number.isInteger)
      ? { kind: 'ints', value: input as number[] }
      : { kind: 'floats', value: input as number[] };
  }
  return input as Attribute;
}

/** A float attribute, for values that happen to be whole. */
export const floatAttribute = (value: number): Attribute => ({ kind: 'float', value });
