/**
 * Rotary position embeddings as they are exported: pairs of a head's numbers turned by an angle that grows with the
 * position. Written as x·cos + rotate(x)·sin, or as the two halves of the result one by one.
 */
import { constantNumbers } from '../ir/constant.js';
import type { Node, Value } from '../ir/graph.js';

/** A rotation found in a graph. */
export interface Rotary {
  /** What is turned: [batch, heads, tokens, size] or [batch, tokens, heads, size]. */
  readonly input: Value;
  readonly output: Value;
  /** The numbers of the head that are turned, from the first on. */
  readonly size: number;
  /** Pairs (0,1), (2,3) …; otherwise (0, size/2), (1, size/2 + 1) … */
  readonly interleaved: boolean;
  /** Values that broadcast against the input (or its half), as the graph computes them. */
  readonly cos: Value;
  readonly sin: Value;
  /** The node that the rotation ends in. */
  readonly last: Node;
}

/** A part of the last dimension: elements `start`, `start + step` … below `end`. */
export interface Part {
  readonly of: Value;
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

const lastSize = (value: Value): number | undefined => {
  const size = value.shape?.at(-1);
  return typeof size === 'number' ? size : undefined;
};

/** Reads a value as a part of another's last dimension: a Slice with constant bounds, or an output of a Split. */
export function trailingPart(value: Value): Part | undefined {
  const node = value.producer;
  const source = node?.inputs[0];
  if (node === undefined || source?.shape === undefined) return undefined;
  const rank = source.shape.length;
  const size = lastSize(source);
  if (size === undefined) return undefined;
  if (node.is('Split')) {
    const axis = node.int('axis', 0);
    if (axis !== -1 && axis !== rank - 1) return undefined;
    const sizes = node.outputs.map(lastSize);
    if (sizes.some((each) => each === undefined)) return undefined;
    const start = sizes.slice(0, value.index).reduce<number>((sum, each) => sum + each!, 0);
    return { of: source, start, end: start + sizes[value.index]!, step: 1 };
  }
  if (!node.is('Slice')) return undefined;
  const [starts, ends, axes, steps] = [1, 2, 3, 4].map((index) => constantNumbers(node.inputs[index]));
  if (starts?.length !== 1 || ends?.length !== 1) return undefined;
  const axis = axes?.[0] ?? 0;
  if (axis !== -1 && axis !== rank - 1) return undefined;
  const clamp = (at: number): number => Math.max(0, Math.min(size, at < 0 ? at + size : at));
  return { of: source, start: clamp(starts[0]!), end: clamp(ends[0]!), step: steps?.[0] ?? 1 };
}

const isPart = (part: Part | undefined, of: Value, start: number, end: number, step: number): boolean =>
  part !== undefined &&
  part.of === of &&
  part.start === start &&
  part.step === step &&
  (step === 1 ? part.end === end : part.end > end - step);

/** x → (−x₂, x₁) by halves, or (−x₁, x₀, −x₃, x₂ …) interleaved: the value that was turned by a right angle. */
function turned(value: Value): { of: Value; interleaved: boolean } | undefined {
  const node = value.producer;
  const size = lastSize(value);
  if (node === undefined || size === undefined || size % 2 !== 0) return undefined;
  const half = size / 2;
  if (node.is('Concat') && node.inputs.length === 2 && alongLast(node)) {
    const [minus, plus] = node.inputs as [Value, Value];
    if (!minus.producer?.is('Neg')) return undefined;
    const second = trailingPart(minus.producer.inputs[0]!);
    const first = trailingPart(plus);
    if (first === undefined || second === undefined || first.of !== second.of) return undefined;
    const fits =
      isPart(first, first.of, 0, half, 1) &&
      isPart(second, first.of, half, size, 1) &&
      lastSize(first.of) === size;
    return fits ? { of: first.of, interleaved: false } : undefined;
  }
  // stack((−x₁, x₀), dim = −1).flatten(−2)
  const stack = node.is('Reshape') || node.is('Flatten') ? node.inputs[0]?.producer : undefined;
  if (!stack?.is('Concat') || stack.inputs.length !== 2 || !alongLast(stack)) return undefined;
  const [minus, plus] = stack.inputs.map((each) =>
    each?.producer?.is('Unsqueeze') ? each.producer.inputs[0] : undefined,
  );
  if (plus === undefined || !minus?.producer?.is('Neg')) return undefined;
  const odd = trailingPart(minus.producer.inputs[0]!);
  const even = trailingPart(plus);
  if (even === undefined || !isPart(even, even.of, 0, size, 2) || !isPart(odd, even.of, 1, size, 2))
    return undefined;
  return lastSize(even.of) === size && (stack.outputs[0]!.shape?.at(-1) ?? 0) === 2
    ? { of: even.of, interleaved: true }
    : undefined;
}

function alongLast(node: Node): boolean {
  const axis = node.int('axis', 0);
  return axis === -1 || axis === (node.outputs[0]?.shape?.length ?? 0) - 1;
}

/** The operands of a Mul, either way round. */
function* factors(value: Value | undefined): IterableIterator<readonly [Value, Value]> {
  const node = value?.producer;
  if (!node?.is('Mul')) return;
  const [a, b] = node.inputs as [Value, Value];
  yield [a, b];
  yield [b, a];
}

/** Reads a node as the end of a rotation. Only structure is looked at; what cos and sin are is asked elsewhere. */
export function rotaryAt(node: Node): Rotary | undefined {
  return node.is('Add') ? bySum(node) : node.is('Concat') ? byHalves(node) : undefined;
}

/** x·cos + turned(x)·sin. */
function bySum(node: Node): Rotary | undefined {
  for (const [one, other] of [node.inputs, [...node.inputs].reverse()])
    for (const [rotated, sin] of factors(other)) {
      const turn = turned(rotated);
      if (turn === undefined) continue;
      for (const [input, cos] of factors(one))
        if (input === turn.of && cos !== input)
          return {
            input,
            output: node.outputs[0]!,
            size: lastSize(input)!,
            interleaved: turn.interleaved,
            cos,
            sin,
            last: node,
          };
    }
  return undefined;
}

/** Concat(x₁·cos − x₂·sin, x₂·cos + x₁·sin) with halves x₁ and x₂. */
function byHalves(node: Node): Rotary | undefined {
  if (node.inputs.length !== 2 || !alongLast(node)) return undefined;
  const [left, right] = node.inputs as [Value, Value];
  const [sub, add] = [left.producer, right.producer];
  if (!sub?.is('Sub') || !add?.is('Add')) return undefined;
  for (const [x1, cos] of factors(sub.inputs[0]))
    for (const [x2, sin] of factors(sub.inputs[1])) {
      const [first, second] = [trailingPart(x1), trailingPart(x2)];
      if (first === undefined || second?.of !== first.of) continue;
      const size = lastSize(first.of);
      if (size === undefined || !isPart(first, first.of, 0, size / 2, 1)) continue;
      if (!isPart(second, first.of, size / 2, size, 1)) continue;
      const products = (a: Value, b: Value): boolean =>
        [add.inputs, [...add.inputs].reverse()].some(
          ([p, q]) =>
            [...factors(p)].some(([u, w]) => samePart(u, x2) && w === a) &&
            [...factors(q)].some(([u, w]) => samePart(u, x1) && w === b),
        );
      if (products(cos, sin))
        return { input: first.of, output: node.outputs[0]!, size, interleaved: false, cos, sin, last: node };
    }
  return undefined;
}

function samePart(a: Value, b: Value): boolean {
  if (a === b) return true;
  const [one, other] = [trailingPart(a), trailingPart(b)];
  return (
    one !== undefined && other !== undefined && isPart(one, other.of, other.start, other.end, other.step)
  );
}
