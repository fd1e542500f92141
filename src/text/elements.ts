/**
 * Elements of constants as literals. As ONNX's own printer does, 16-bit and smaller floats are written as their bit
 * patterns (`float16 {15360}` is 1.0); real literals (`float16 {1.0}`) are read too.
 */
import { Float16Array } from '@petamoriken/float16';
import { byteLengthOf, type DType, dtypeFacts } from '../ir/dtype.js';
import type { Tensor } from '../ir/tensor.js';

/** The shortest decimal that reads back as the same float32; always with a point or exponent when `pointed`. */
export function formatFloat32(value: number, pointed = false): string {
  const single = Math.fround(value);
  if (!Number.isFinite(single)) return formatSpecial(single);
  if (single === 0) return formatDouble(single, pointed);
  // Any shorter decimal shows among six digits, its trailing zeros falling away; not so for subnormal numbers.
  for (let digits = Math.abs(single) < 1.1754944e-38 ? 1 : 6; digits < 9; digits++) {
    const text = Number(single.toPrecision(digits));
    if (Math.fround(text) === single) return formatDouble(text, pointed);
  }
  return formatDouble(Number(single.toPrecision(9)), pointed);
}

export function formatDouble(value: number, pointed = false): string {
  if (!Number.isFinite(value)) return formatSpecial(value);
  const text = Object.is(value, -0) ? '-0' : String(value);
  return pointed && !/[.e]/.test(text) ? `${text}.0` : text;
}

const formatSpecial = (value: number): string => (Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf');

/** Literals of a tensor's elements, in order; two literals an element for complex ones. Not for strings. */
export function literalsOf(tensor: Tensor): string[] {
  const { bits, kind } = dtypeFacts(tensor.dtype);
  if (bits < 8) return unpackElements(tensor).map(String);
  const data = tensor.data();
  const literals: string[] = new Array(data.length);
  const single = tensor.dtype === 'float' || tensor.dtype === 'complex64';
  const real = single || tensor.dtype === 'double' || kind === 'complex';
  for (let i = 0; i < data.length; i++) {
    const element = data[i]!;
    literals[i] = single
      ? formatFloat32(element as number)
      : real
        ? formatDouble(element as number)
        : String(element);
  }
  return literals;
}

/** Elements of fewer than 8 bits, lowest bits first; signed where the dtype is. */
function unpackElements(tensor: Tensor): number[] {
  const { bits, kind } = dtypeFacts(tensor.dtype);
  const bytes = tensor.bytes();
  const elements: number[] = new Array(tensor.count);
  for (let i = 0; i < elements.length; i++) {
    const at = i * bits;
    const word = bytes[at >> 3]! | ((bytes[(at >> 3) + 1] ?? 0) << 8);
    const pattern = (word >> (at & 7)) & ((1 << bits) - 1);
    elements[i] = kind === 'int' && pattern >> (bits - 1) ? pattern - (1 << bits) : pattern;
  }
  return elements;
}

/** An element as it is stored: a number for most dtypes, a bigint for 64-bit integers. */
export type StoredElement = number | bigint;

/** Raw bytes of `count` elements (for complex dtypes: `count` pairs, `element` called once a part). */
export function packElements(
  dtype: DType,
  count: number,
  element: (index: number) => StoredElement,
): Uint8Array {
  const { bits, kind, array } = dtypeFacts(dtype);
  if (bits < 8) {
    const bytes = new Uint8Array(byteLengthOf(dtype, count));
    for (let i = 0; i < count; i++) {
      const at = i * bits;
      const pattern = (Number(element(i)) & ((1 << bits) - 1)) << (at & 7);
      bytes[at >> 3]! |= pattern & 0xff;
      if (pattern > 0xff) bytes[(at >> 3) + 1]! |= pattern >> 8;
    }
    return bytes;
  }
  const parts = kind === 'complex' ? count * 2 : count;
  const data = new array(new ArrayBuffer(byteLengthOf(dtype, count)));
  for (let i = 0; i < parts; i++) data[i] = element(i) as never;
  return new Uint8Array(data.buffer);
}

/** Smallest and largest integer that an element may be written as: its values, or the bit patterns of small floats. */
export function integerRange(dtype: DType): readonly [bigint, bigint] | undefined {
  const { bits, kind } = dtypeFacts(dtype);
  if (kind === 'bool') return [0n, 1n];
  if (kind === 'int') return [-(1n << BigInt(bits - 1)), (1n << BigInt(bits - 1)) - 1n];
  if (kind === 'uint' || (kind === 'float' && bits <= 16)) return [0n, (1n << BigInt(bits)) - 1n];
  return undefined;
}

/** How a real number is stored in a dtype; `undefined` for dtypes whose rounding is not ours to define here. */
export function realElement(dtype: DType): ((value: number) => StoredElement) | undefined {
  const { kind, bits } = dtypeFacts(dtype);
  if (dtype === 'float' || dtype === 'double') return (value) => value;
  if (dtype === 'float16') {
    const cell = new Float16Array(1);
    const pattern = new Uint16Array(cell.buffer);
    return (value) => {
      cell[0] = value;
      return pattern[0]!;
    };
  }
  if (dtype === 'bfloat16') {
    const cell = new Float32Array(1);
    const pattern = new Uint32Array(cell.buffer);
    return (value) => {
      cell[0] = value;
      if (Number.isNaN(value)) return 0x7fc0;
      // Round to nearest, ties to even, on the upper half of the float32 pattern.
      return ((pattern[0]! + 0x7fff + ((pattern[0]! >>> 16) & 1)) >>> 16) & 0xffff;
    };
  }
  if (kind === 'bool') return (value) => (value === 0 ? 0 : 1);
  const range = integerRange(dtype);
  if ((kind !== 'int' && kind !== 'uint') || range === undefined) return undefined;
  const [low, high] = [Number(range[0]), Number(range[1])];
  const clamp = (value: number): number => Math.min(high, Math.max(low, Math.round(value)));
  if (bits < 64) return clamp;
  return (value) => {
    const whole = clamp(value);
    return whole >= high ? range[1] : BigInt(whole);
  };
}
