/**
 * What a mask lets through, found by asking: the nodes between the product and the Softmax are run on scores of our
 * own for a few sizes. However a causal mask was written, a lower triangle comes out of it.
 */
import { constantNumbers } from '../ir/constant.js';
import type { Value } from '../ir/graph.js';
import { Tensor } from '../ir/tensor.js';
import { elementCount } from '../ir/type.js';
import type { Attention } from './attention.js';
import { allowedSizes, fedInputs, inputsRead, isWholeNumber, type Prober, type Sizes } from './cone.js';

/**
 * - `none`: every query sees every key.
 * - `causal`: no query sees keys behind its own; `padding`: keys are hidden by an input of zeros and ones.
 * - `additive`: anything else that is added to the scores (biases by position, windows, masks of other kinds).
 */
export interface Mask {
  readonly kind: 'none' | 'causal' | 'padding' | 'causal+padding' | 'additive';
  /** The inputs of the graph whose zeros hide keys. */
  readonly inputs: readonly Value[];
  /** Why it is not one of the plainer kinds. */
  readonly reason?: string;
}

/** What a masked score is at most: its exponential is 0 in float32 whatever the scores around it. */
const HIDDEN = -9999;
/** Sizes that are asked about: one token, and numbers that no layout is made for. */
const ASKED: readonly Sizes[] = [
  { batch: 2, length: 7 },
  { batch: 1, length: 1 },
  { batch: 1, length: 3 },
];
/** A constant of the mask that is larger may be the width of a window, which shows only beyond it. */
const SMALL = 8;
const WIDEST_ASKED = 1200;

/** Says which keys each query of an attention sees. @returns a mask of kind `additive` where it cannot be told. */
export async function maskOf(prober: Prober, attention: Attention): Promise<Mask> {
  const { scores } = attention;
  if (scores.oddity !== undefined) return { kind: 'additive', inputs: [], reason: scores.oddity };
  if (scores.biases.length === 0) return { kind: 'none', inputs: [] };
  const stops = new Set(scores.product.outputs);
  const inputs = inputsRead(attention.softmax.inputs[0]!, stops);
  const other = inputs.find(({ shape, dtype }) => shape?.length !== 2 || dtype === undefined);
  const additive = (reason: string): Mask => ({ kind: 'additive', inputs, reason });
  if (other !== undefined) return additive(`it reads ${other.name}`);
  const sizes = allowedSizes(prober.model.graph, ASKED);
  const windows = widths(attention);
  if (windows.some((width) => width > WIDEST_ASKED)) return additive('it may be a window');
  sizes.push(
    ...allowedSizes(
      prober.model.graph,
      windows.map((width) => ({ batch: 1, length: width + 2 })),
    ),
  );
  let causal = true;
  let open = true;
  for (const each of sizes) {
    const seen = await ask(prober, attention, each, inputs, () => 1);
    if (typeof seen === 'string') return additive(seen);
    for (let i = 0; i < each.length; i++)
      for (let j = 0; j < each.length; j++)
        for (let b = 0; b < each.batch; b++) {
          if (seen(b, i, j)) causal &&= j <= i;
          else {
            open = false;
            causal &&= j > i;
          }
        }
  }
  // One token alone cannot tell a triangle from a square.
  if (open && sizes.some(({ length }) => length > 1)) causal = false;
  if (!causal && !open) return additive('it is neither a triangle nor open');
  if (inputs.length === 0) return { kind: causal ? 'causal' : 'none', inputs };
  const size = sizes[0]!;
  const isPadding = await hides(prober, attention, size, inputs, causal);
  if (isPadding !== true) return additive(isPadding);
  return { kind: causal ? 'causal+padding' : 'padding', inputs };
}

/** True when exactly the keys whose input is 0 are hidden, besides those that a triangle hides. */
async function hides(
  prober: Prober,
  attention: Attention,
  size: Sizes,
  inputs: readonly Value[],
  causal: boolean,
): Promise<true | string> {
  const last = size.length - 1;
  const kept = (b: number, j: number): number => (j === last || (b === 0 && j === 2) ? 0 : 1);
  const seen = await ask(prober, attention, size, inputs, kept);
  if (typeof seen === 'string') return seen;
  for (let b = 0; b < size.batch; b++)
    for (let i = 0; i < last; i++)
      for (let j = 0; j < size.length; j++) {
        const expected = kept(b, j) === 1 && (!causal || j <= i);
        // What a hidden token itself sees is of no concern.
        if (kept(b, i) === 1 && seen(b, i, j) !== expected) return 'zeros of its inputs do not hide keys';
      }
  return true;
}

/** Numbers of the mask's own arithmetic that may be the width of a window. */
function widths(attention: Attention): number[] {
  const found = new Set<number>();
  const stop = attention.scores.product.outputs[0]!;
  const seen = new Set<Value>([stop]);
  const stack: Value[] = [attention.softmax.inputs[0]!];
  while (stack.length > 0 && seen.size < 500) {
    const node = stack.pop()!.producer;
    for (const [index, input] of (node?.inputs ?? []).entries()) {
      if (input === undefined || seen.has(input)) continue;
      // Where to cut a stored triangle is no window; where to compare or shift is.
      const numbers = constantNumbers(input);
      const counts =
        /^(Less|Greater|LessOrEqual|GreaterOrEqual|Add|Sub|Trilu|Range|Min|Max|Clip|Where)$/.test(
          node!.opType,
        );
      if (numbers?.length === 1 && counts && (isWholeNumber(input.dtype) || input.dtype === 'float')) {
        const width = Math.abs(numbers[0]!);
        const isFill = node!.is('Where') && index > 0 && !isWholeNumber(input.dtype);
        if (!isFill && Number.isInteger(width) && width > SMALL && width < 2 ** 31 - 1) found.add(width);
      }
      seen.add(input);
      if (node!.opType !== 'Shape') stack.push(input);
    }
  }
  return [...found];
}

type Seen = (batch: number, query: number, key: number) => boolean;

/** Runs the mask on scores 0 and on others, and tells which positions it lets through unchanged. */
async function ask(
  prober: Prober,
  attention: Attention,
  sizes: Sizes,
  inputs: readonly Value[],
  element: (batch: number, token: number) => number,
): Promise<Seen | string> {
  const { scores, softmax, rank, heads } = attention;
  const { batch, length } = sizes;
  const product = scores.product.outputs[0]!;
  const shape = rank === 4 ? [batch, heads, length, length] : [batch, length, length];
  const given = new Map<Value, Tensor>();
  for (const input of fedInputs(prober.model.graph)) {
    if (input.shape?.length !== 2 || input.dtype === undefined) continue;
    const isRead = inputs.includes(input);
    const numbers = Array.from({ length: batch * length }, (_, at) =>
      isRead ? element(Math.floor(at / length), at % length) : 0,
    );
    const tensor = tensorOf(input.dtype, [batch, length], numbers);
    if (tensor !== undefined) given.set(input, tensor);
  }
  const answers: Float32Array[] = [];
  for (const fill of PROBES) {
    given.set(product, Tensor.floats(Float32Array.from({ length: elementCount(shape) }, fill), shape));
    const found = await prober.run([softmax.inputs[0]!], sizes, given);
    if (typeof found === 'string') return found;
    answers.push(found[0]!.toFloat32());
  }
  const [zero, some] = answers as [Float32Array, Float32Array];
  const plane = length * length;
  if (zero.length % plane !== 0 || zero.length !== elementCount(shape)) return 'scores change their shape';
  const { softcap } = scores;
  const scale = scores.scale;
  const bent = (x: number): number =>
    softcap === undefined ? x * scale : softcap * Math.tanh((x * scale) / softcap);
  for (let at = 0; at < zero.length; at++) {
    const hidden = zero[at]! <= HIDDEN;
    if (!hidden && Math.abs(zero[at]!) > 1e-6) return 'it adds numbers to scores';
    const expected = bent(PROBES[1]!(undefined, at));
    const wrong = hidden
      ? some[at]! > HIDDEN / 2
      : Math.abs(some[at]! - expected) > 1e-4 * (1 + Math.abs(expected));
    if (wrong) return 'it changes scores otherwise';
  }
  const heads0 = rank === 4 ? heads : 1;
  for (let at = 0; at < zero.length; at++) {
    const head = Math.floor(at / plane) % heads0;
    if (zero[at]! <= HIDDEN !== zero[at - head * plane]! <= HIDDEN) return 'heads are masked differently';
  }
  return (b, i, j) => zero[b * heads0 * plane + i * length + j]! > HIDDEN;
}

const PROBES: readonly ((unused: unknown, at: number) => number)[] = [
  () => 0,
  (_, at) => ((at * 37) % 23) / 4 - 2.5,
];

/** Numbers in a dtype that masks come in; undefined for others. */
export function tensorOf(
  dtype: string,
  shape: readonly number[],
  numbers: readonly number[],
): Tensor | undefined {
  if (dtype === 'int64') return Tensor.ints(numbers, shape);
  if (dtype === 'int32') return Tensor.of('int32', shape, Int32Array.from(numbers));
  if (dtype === 'float') return Tensor.floats(numbers, shape);
  return dtype === 'bool' ? Tensor.of('bool', shape, Uint8Array.from(numbers)) : undefined;
}
