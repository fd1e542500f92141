/**
 * Test inputs by law instead of by value: `["fill": "normal:7"]` in the place of a constant's elements. The same law
 * gives the same bytes on every machine, so no transcendental function is used.
 */
import type { DType } from '../ir/dtype.js';
import { Tensor, type TensorSource } from '../ir/tensor.js';
import { elementCount } from '../ir/type.js';
import { packElements, realElement } from './elements.js';

const LAWS = new WeakMap<TensorSource, string>();

/** The law that a tensor was made by, when the parser made it so. */
export const fillOf = (tensor: Tensor): string | undefined => LAWS.get(tensor.source);

/** What the laws look like, for messages. */
export const FILL_FORMS =
  'zeros, ones, constant:VALUE, arange[:START[:STEP]], uniform:SEED:LOW:HIGH, normal:SEED[:MEAN[:DEVIATION]]';

/**
 * A constant made by a law (see {@link FILL_FORMS}). For integer dtypes the drawn numbers are rounded and clamped to
 * the dtype's range. Answers `undefined` when the law is not one of these, or the dtype holds no real numbers.
 */
export function filledTensor(
  dtype: DType,
  shape: readonly number[],
  law: string,
  name: string,
): Tensor | undefined {
  const draw = drawing(law);
  const encode = realElement(dtype);
  if (draw === undefined || encode === undefined) return undefined;
  const count = elementCount(shape);
  const bytes = packElements(dtype, count, (index) => encode(draw(index)));
  const tensor = new Tensor(dtype, shape, { kind: 'memory', bytes }, { name });
  LAWS.set(tensor.source, law);
  return tensor;
}

/** The number that a law puts at an element's index; every call sees the indices from 0 upwards. */
function drawing(law: string): ((index: number) => number) | undefined {
  const [kind, ...words] = law.split(':');
  const numbers = words.map((word) => (word.trim() === '' ? Number.NaN : Number(word)));
  if (!numbers.every(Number.isFinite)) return undefined;
  const [a, b, c] = numbers;
  switch (`${kind}/${numbers.length}`) {
    case 'zeros/0':
      return () => 0;
    case 'ones/0':
      return () => 1;
    case 'constant/1':
      return () => a!;
    case 'arange/0':
    case 'arange/1':
    case 'arange/2':
      return (index) => (a ?? 0) + index * (b ?? 1);
    case 'uniform/3': {
      const random = randomSource(a!);
      return () => b! + random() * (c! - b!);
    }
    case 'normal/1':
    case 'normal/2':
    case 'normal/3': {
      const random = randomSource(a!);
      return () => (b ?? 0) + (c ?? 1) * bellShaped(random);
    }
    default:
      return undefined;
  }
}

/** Sum of twelve uniform draws, less six: mean 0, variance 1, near enough to a normal law, and exact arithmetic. */
function bellShaped(random: () => number): number {
  let sum = -6;
  for (let i = 0; i < 12; i++) sum += random();
  return sum;
}

/** Uniform numbers in [0, 1) from a 32-bit counter mixed by multiplications and shifts (a Weyl sequence, hashed). */
export function randomSource(seed: number): () => number {
  let state = Math.imul(seed | 0, 0x9e3779b1) ^ 0x2545f491;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    mixed ^= mixed >>> 15;
    return (mixed >>> 0) / 0x100000000;
  };
}
