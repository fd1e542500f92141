import { constantOf, no, rewrite, Tensor, type Value, type Verdict, value } from '../src/index.js';

const int32 = ({ x }: { readonly x: Value }): Verdict =>
  x.dtype === 'int32' || no(`its input is ${x.dtype ?? 'of an unknown type'}, not int32`, x);
const zero = Tensor.scalar(0, 'int32');

const negation = rewrite({
  name: 'neg',
  doc: 'Neg(x) → 0 − x',
  needs: ['typed'],
  bind: { x: value },
  pattern: (op, $) => op.Neg($.x),
  check: int32,
  replace: ({ x }, op) => op.Sub(zero, x),
});

/** Of the smallest int32 both sides are itself again. */
const magnitude = rewrite({
  name: 'abs',
  doc: 'Abs(x) → max(x, 0 − x)',
  needs: ['typed'],
  bind: { x: value },
  pattern: (op, $) => op.Abs($.x),
  check: int32,
  replace: ({ x }, op) => op.Max(x, op.Sub(zero, x)),
});

const rectifier = rewrite({
  name: 'relu',
  doc: 'Relu(x) → max(x, 0)',
  needs: ['typed'],
  bind: { x: value },
  pattern: (op, $) => op.Relu($.x),
  check: int32,
  replace: ({ x }, op) => op.Max(x, zero),
});

/** Element types that Gather moves and Slice does not. */
const GATHERED = new Set(['int32', 'uint32', 'bool', 'uint8']);

/** One axis cut by constants out of a known size, as the places that are kept. Undefined where it is anything else. */
function kept(x: Value, parts: readonly (Value | undefined)[]): { axis: number; places: number[] } | string {
  const [starts, ends, axes, steps] = parts.map((part) => part && constantOf(part)?.toNumbers());
  if (parts.some((part) => part !== undefined && constantOf(part) === undefined))
    return 'where it cuts is not constant';
  if (starts?.length !== 1 || ends?.length !== 1) return 'it cuts more than one axis';
  const rank = x.shape?.length ?? 0;
  const axis = (axes?.[0] ?? 0) < 0 ? (axes?.[0] ?? 0) + rank : (axes?.[0] ?? 0);
  const size = x.shape?.[axis];
  if (typeof size !== 'number') return `the size of axis ${axis} is unknown`;
  const step = steps?.[0] ?? 1;
  const clip = (place: number, least: number, most: number) =>
    Math.min(Math.max(place < 0 ? place + size : place, least), most);
  const [first, last] =
    step > 0
      ? [clip(starts[0]!, 0, size), clip(ends[0]!, 0, size)]
      : [clip(starts[0]!, 0, size - 1), clip(ends[0]!, -1, size - 1)];
  const places: number[] = [];
  for (let at = first; step > 0 ? at < last : at > last; at += step) places.push(at);
  return places.length === 0 || places.length > 1 << 20 ? 'it keeps nothing, or very much' : { axis, places };
}

const slice = rewrite({
  name: 'slice',
  doc: 'Slice(x) along one axis → Gather of the places that it keeps',
  needs: ['typed'],
  opset: 10,
  bind: {
    x: value,
    starts: value,
    ends: value,
    axes: value.optional,
    steps: value.optional,
  },
  pattern: (op, $) => op.Slice($.x, $.starts, $.ends, $.axes, $.steps),
  check: ({ x, starts, ends, axes, steps }) => {
    if (!GATHERED.has(x.dtype ?? '')) return no(`its input is ${x.dtype ?? 'of an unknown type'}`, x);
    const found = kept(x, [starts, ends, axes, steps]);
    return typeof found !== 'string' || no(found, x);
  },
  replace: ({ x, starts, ends, axes, steps }, op) => {
    const { axis, places } = kept(x, [starts, ends, axes, steps]) as { axis: number; places: number[] };
    return op.Gather(x, Tensor.ints(places), { axis });
  },
});

export const lowerIntegers = rewrite.group(
  'lower-integers',
  'Neg, Abs, Relu of int32 → Sub and Max; Slice of integers and booleans → Gather',
  [negation, magnitude, rectifier, slice],
);
