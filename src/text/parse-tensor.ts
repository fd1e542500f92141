/** Constants: `{1, 2}`, `["fill": "normal:7"]`, and sparse ones. */
import type { SparseTensor } from '../ir/attribute.js';
import { byteLengthOf, type DType, dtypeFacts } from '../ir/dtype.js';
import { Tensor } from '../ir/tensor.js';
import { elementCount, isStatic, type Type } from '../ir/type.js';
import { integerRange, packElements, realElement, type StoredElement } from './elements.js';
import { FILL_FORMS, filledTensor } from './fill.js';
import { isNumberWord, type Lexer, type Token } from './lexer.js';
import { parseType } from './parse-type.js';

/** A text tells at most this many bytes of one constant: a hostile shape must not take the memory. */
const MAX_BYTES = 2 ** 31 - 1;

/** Reads a constant's elements, its type being known. @throws QuantcError E_TEXT_ELIDED for a printed digest */
export function parseTensorData(lexer: Lexer, type: Type | undefined, name: string): Tensor {
  const start = lexer.token;
  if (type?.kind !== 'tensor' || !isStatic(type.shape) || type.shape.some((dim) => dim < 0)) {
    lexer.failAt(start, 'E_TEXT_TENSOR', 'a constant needs a tensor type whose dimensions are all numbers');
  }
  const { dtype, shape } = type;
  const bytes = byteLengthOf(dtype, elementCount(shape));
  if (bytes > MAX_BYTES)
    lexer.failAt(start, 'E_TEXT_TENSOR', `a constant of ${bytes} bytes is too large for text`);
  if (lexer.accept('[')) return parseDescribed(lexer, start, dtype, shape, name);
  lexer.expect('{', 'or "[" before the elements of a constant');
  const elements: StoredElement[] = [];
  const strings: Uint8Array[] = [];
  const read = dtype === 'string' ? () => strings.push(parseBytes(lexer)) : undefined;
  const element = elementReader(lexer, dtype);
  lexer.list('}', 'among the elements of a constant', read ?? (() => elements.push(element())));
  const count = elementCount(shape);
  const parts = dtypeFacts(dtype).kind === 'complex' ? 2 : 1;
  const found = (dtype === 'string' ? strings.length : elements.length) / parts;
  if (found !== count) {
    lexer.failAt(start, 'E_TEXT_TENSOR', `${dtype}[${shape}] has ${count} elements, ${found} are given`);
  }
  if (dtype === 'string') return new Tensor(dtype, shape, { kind: 'strings', values: strings }, { name });
  return Tensor.of(
    dtype,
    shape,
    packElements(dtype, count, (index) => elements[index]!),
    { name },
  );
}

/** The elements of a string tensor and of string attributes: UTF-8 of `"…"`, or the bytes of `hex"…"`. */
export function parseBytes(lexer: Lexer): Uint8Array {
  const { kind, value } = lexer.token;
  if (kind === 'bytes') return parseHex(lexer);
  if (kind !== 'string') lexer.fail('a string');
  lexer.take();
  return new TextEncoder().encode(value);
}

export function parseHex(lexer: Lexer): Uint8Array {
  const token = lexer.take();
  if (token.value.length % 2) lexer.failAt(token, 'E_TEXT_SYNTAX', 'hex"…" needs an even number of digits');
  return Uint8Array.from(Buffer.from(token.value, 'hex'));
}

function parseDescribed(
  lexer: Lexer,
  start: Token,
  dtype: DType,
  shape: readonly number[],
  name: string,
): Tensor {
  const entries = new Map<string, string>();
  lexer.list(']', 'among the entries of a constant', () => {
    const key = lexer.string('a quoted key such as "fill"');
    lexer.expect(':', 'after the key');
    entries.set(key, lexer.string('a quoted value'));
  });
  const law = entries.get('fill');
  if (law !== undefined) {
    const tensor = filledTensor(dtype, shape, law, name);
    if (tensor) return tensor;
    lexer.failAt(start, 'E_TEXT_FILL', `"${law}" cannot fill ${dtype}[${shape}]`, `Laws: ${FILL_FORMS}.`);
  }
  if (entries.has('sha256') || entries.has('elided')) {
    const hint = 'Print the model with the elements (elide: Infinity), or write a "fill" in their place.';
    lexer.failAt(
      start,
      'E_TEXT_ELIDED',
      `the elements of ${dtype}[${shape}] ${name} were left out when printing`,
      hint,
    );
  }
  const keys = [...entries.keys()].join(', ');
  lexer.failAt(
    start,
    'E_TEXT_EXTERNAL',
    `a constant in text cannot be read from elsewhere (${keys})`,
    'Write its elements in braces, or a "fill".',
  );
}

/** A number literal of float kind: an int, a real, or inf and nan. */
export function parseReal(lexer: Lexer): number {
  const token = lexer.token;
  const special = token.kind === 'id' && isNumberWord(token.text);
  if (!special && token.kind !== 'int' && token.kind !== 'float') lexer.fail('a number');
  lexer.take();
  const value = realOf(token.text);
  if (Number.isNaN(value) && !/nan/i.test(token.text)) {
    lexer.failAt(token, 'E_TEXT_SYNTAX', `${token.text} is not a number`);
  }
  if (!Number.isFinite(value) && /\d/.test(token.text)) {
    lexer.failAt(token, 'E_TEXT_RANGE', `${token.text} is too large for a number`);
  }
  return value;
}

const realOf = (text: string): number => {
  const sign = text.startsWith('-') ? -1 : 1;
  if (/inf/i.test(text)) return sign * Number.POSITIVE_INFINITY;
  return /nan/i.test(text) ? Number.NaN : Number(text);
};

/** Reads single precision, as attributes and float tensors hold it. */
export function parseFloat32(lexer: Lexer): number {
  const token = lexer.token;
  const value = parseReal(lexer);
  const single = Math.fround(value);
  if (Number.isFinite(value) && !Number.isFinite(single)) {
    lexer.failAt(token, 'E_TEXT_RANGE', `${token.text} is too large for a float`);
  }
  return single;
}

function elementReader(lexer: Lexer, dtype: DType): () => StoredElement {
  if (dtype === 'float' || dtype === 'complex64') return () => parseFloat32(lexer);
  if (dtype === 'double' || dtype === 'complex128') return () => parseReal(lexer);
  const { kind, bits } = dtypeFacts(dtype);
  const real = kind === 'float' ? realElement(dtype) : undefined;
  const range = integerRange(dtype);
  return () => {
    const token = lexer.token;
    if (real && token.kind !== 'int') return real(parseReal(lexer));
    const value = lexer.int(`an integer element of ${dtype}`);
    if (range && (value < range[0] || value > range[1])) {
      lexer.failAt(token, 'E_TEXT_RANGE', `${token.text} is outside of ${dtype}: ${range[0]} to ${range[1]}`);
    }
    return bits === 64 ? BigInt(value) : value;
  };
}

/** A sparse constant: `sparse_tensor(float[9]) = {float[2] {1, 2}, int64[2] {0, 5}}`, values first. */
export function parseSparseData(lexer: Lexer, type: Type, name: string): SparseTensor {
  const start = lexer.token;
  if (type.kind !== 'sparse' || !isStatic(type.shape)) {
    lexer.failAt(start, 'E_TEXT_TENSOR', 'a sparse constant needs dimensions that are all numbers');
  }
  lexer.expect('{', 'before the values and indices of a sparse constant');
  const values = parseTensor(lexer, name);
  lexer.expect(',', 'between the values and the indices of a sparse constant');
  const indices = parseTensor(lexer, '');
  lexer.expect('}', 'after the indices of a sparse constant');
  if (values.dtype !== type.dtype) {
    lexer.failAt(start, 'E_TEXT_TENSOR', `values are ${values.dtype} in a sparse constant of ${type.dtype}`);
  }
  return { values, indices, shape: type.shape };
}

/** `float[2] name = {1, 2}`, where the name (else `name`) and "=" may be absent. */
function parseTensor(lexer: Lexer, name: string): Tensor {
  const type = parseType(lexer);
  const own = lexer.atName ? lexer.name('a name') : name;
  lexer.accept('=');
  return parseTensorData(lexer, type, own);
}
