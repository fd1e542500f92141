/** Constants and attributes as text. */
import type { SparseTensor } from '../ir/attribute.js';
import { contentDigest } from '../ir/digest.js';
import type { Tensor } from '../ir/tensor.js';
import type { Dim, Type } from '../ir/type.js';
import { literalsOf } from './elements.js';
import { fillOf } from './fill.js';
import { isPlainName } from './lexer.js';

/** How constants are written. */
export interface PrintOptions {
  /** Constants of more bytes than this are written as a digest of their bytes. Infinity writes all. Default 256. */
  readonly elide?: number;
  /** `false` writes the size in the place of the digest, so that no bytes are read or computed. */
  readonly digest?: boolean;
  /** `false` leaves out the types of inner values. Default true. */
  readonly types?: boolean;
}

export const quote = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`;

/** A name as it is written: in quotes only where it must be. */
export const printName = (name: string): string => (isPlainName(name) ? name : quote(name));

/** Bytes of a string: in quotes where they are UTF-8, as `hex"…"` otherwise. */
export function printString(value: string | Uint8Array): string {
  if (typeof value === 'string') return quote(value);
  const text = decodeUtf8(value);
  return text === undefined ? `hex"${Buffer.from(value).toString('hex')}"` : quote(text);
}

/** The text that UTF-8 bytes stand for; `undefined` when they are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  return Buffer.compare(Buffer.from(text, 'utf8'), bytes) === 0 ? text : undefined;
}

export function printType(type: Type): string {
  switch (type.kind) {
    case 'tensor':
      return `${type.dtype}${printShape(type.shape)}`;
    case 'sparse':
      return `sparse_tensor(${type.dtype}${printShape(type.shape)})`;
    case 'sequence':
      return `seq(${type.element ? printType(type.element) : '?'})`;
    case 'optional':
      return `optional(${type.element ? printType(type.element) : '?'})`;
    case 'map':
      return `map(${type.key}, ${type.value ? printType(type.value) : '?'})`;
    case 'opaque':
      return `opaque(${type.domain ? `${printDotted(type.domain)}, ` : ''}${type.name ? printDotted(type.name) : ''})`;
  }
}

function printShape(shape: readonly Dim[] | undefined): string {
  if (shape === undefined) return '[]';
  if (shape.length === 0) return '';
  const dims = shape.map((dim) => (dim === null ? '?' : typeof dim === 'number' ? dim : printName(dim)));
  return `[${dims.join(',')}]`;
}

/** A name that may be of several words joined by points, such as a domain. */
export const printDotted = (name: string): string =>
  name.split('.').every(isPlainName) ? name : quote(name);

/** The elements of a constant, its law, or its digest: what stands behind `float[2] W = `. */
export function printTensorData(tensor: Tensor, options: PrintOptions): string {
  const law = fillOf(tensor);
  if (law !== undefined) return `["fill": ${quote(law)}]`;
  if (tensor.byteLength > (options.elide ?? 256)) {
    if (options.digest === false) return `["elided": "${tensor.byteLength} bytes"]`;
    return `["sha256": "${contentDigest(tensor)}"]`;
  }
  if (tensor.source.kind === 'strings') return `{${tensor.source.values.map(printString).join(', ')}}`;
  return `{${literalsOf(tensor).join(', ')}}`;
}

/** A constant by itself, as in attributes: `float[2] name {1, 2}`. */
export function printTensor(tensor: Tensor, options: PrintOptions): string {
  const data = printTensorData(tensor, options);
  const name = tensor.name === '' ? '' : ` ${printName(tensor.name)}`;
  const type = printType({ kind: 'tensor', dtype: tensor.dtype, shape: tensor.shape });
  return `${type}${name} ${data.startsWith('[') ? '= ' : ''}${data}`;
}

/** The values and indices of a sparse constant: what stands behind `sparse_tensor(float[9]) S = `. */
export function printSparseData(sparse: SparseTensor, options: PrintOptions): string {
  return `{${printTensor(sparse.values, options)}, ${printTensor(sparse.indices, options)}}`;
}

export const printSparseType = (sparse: SparseTensor): string =>
  printType({ kind: 'sparse', dtype: sparse.values.dtype, shape: sparse.shape });
