/** Compares what two models answer. */
import type { Tensor } from '../ir/tensor.js';

export interface Closeness {
  /** Largest difference allowed, absolute for values up to 1 and relative beyond. Default 1e-5; integers must be equal. */
  readonly tolerance?: number;
  /** A floor on the signal-to-noise ratio in dB, in the place of the tolerance. */
  readonly sqnr?: number;
}

/** The first way in which outputs differ by more than allowed; `undefined` when they do not. NaN equals NaN. */
export function differenceOf(
  expected: Readonly<Record<string, Tensor>>,
  found: Readonly<Record<string, Tensor>>,
  closeness: Closeness = {},
): string | undefined {
  const names = [Object.keys(expected), Object.keys(found)].map((each) => each.sort().join());
  if (names[0] !== names[1]) return `outputs are ${names[1]}, not ${names[0]}`;
  for (const [name, tensor] of Object.entries(expected)) {
    const difference = tensorDifference(tensor, found[name]!, closeness);
    if (difference !== undefined) return `${name}: ${difference}`;
  }
  return undefined;
}

function tensorDifference(expected: Tensor, found: Tensor, closeness: Closeness): string | undefined {
  const type = (tensor: Tensor): string => `${tensor.dtype}[${tensor.shape}]`;
  if (type(expected) !== type(found)) return `${type(found)} instead of ${type(expected)}`;
  if (expected.source.kind === 'strings' || found.source.kind === 'strings') {
    const strings = (tensor: Tensor): string =>
      tensor.source.kind === 'strings' ? JSON.stringify(tensor.source.values.map((each) => [...each])) : '';
    return strings(expected) === strings(found) ? undefined : 'strings differ';
  }
  const [a, b] = [numbersOf(expected), numbersOf(found)];
  if (closeness.sqnr !== undefined) {
    const sqnr = ratio(a, b);
    return sqnr >= closeness.sqnr ? undefined : `${sqnr.toFixed(2)} dB is below ${closeness.sqnr} dB`;
  }
  const real = ['float', 'double', 'float16', 'bfloat16'].includes(expected.dtype);
  const tolerance = real ? (closeness.tolerance ?? 1e-5) : 0;
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i]!, b[i]!];
    if (Object.is(x, y) || x === y) continue;
    if (!(Math.abs(x - y) <= tolerance * Math.max(1, Math.abs(x))))
      return `element ${i} is ${y} instead of ${x}`;
  }
  return undefined;
}

/** Plain numbers of any numeric dtype; bit patterns or packed bytes where it has none. */
const numbersOf = (tensor: Tensor): ArrayLike<number> =>
  tensor.dtype === 'float16' || tensor.dtype === 'bfloat16'
    ? tensor.toFloat32()
    : Array.from(tensor.data() as ArrayLike<number | bigint>, Number);

/** 10·log10(Σ a² / Σ (a − b)²). */
function ratio(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [signal, noise] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    signal += a[i]! ** 2;
    noise += (a[i]! - b[i]!) ** 2;
  }
  return noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(signal / noise);
}
