import {
  constantNumbers,
  constantOf,
  definePass,
  isStatic,
  type Model,
  type Node,
  opsetOf,
  type PassContext,
  readsFunctionAttributes,
  replaceNode,
  setInput,
  setInputs,
  Tensor,
  type Value,
} from '../src/index.js';
import { Emitter } from './algebra/emitter.js';

/**
 * What is cut out where, in the plainest form that says so:
 * - `Slice` with bounds counted from the end, beyond the size, or without axes and steps → bounds inside of the size,
 *   axes from the front, steps written out; backwards → `Gather` of the places;
 * - `Split` into uneven parts → `Slice`s;
 * - `Gather` with constant indices, some from the end → all from the front; of one place → `Slice` and `Reshape`.
 */
export const lowerIndexing = definePass({
  name: 'lower-indexing',
  doc: 'Slice, Split, Gather with constant places → bounds inside of the size, even parts, places from the front',
  needs: ['typed'],
  run(model, context) {
    for (const graph of model.graphs()) {
      if (opsetOf(model, graph) < 13) continue;
      for (const node of graph.nodes()) {
        const lower = node.domain === '' ? LOWER[node.opType] : undefined;
        if (lower === undefined || readsFunctionAttributes(node)) continue;
        const answer = lower(node, model, context);
        if (typeof answer === 'string') context.decline(answer, node);
      }
    }
  },
});

type Lower = (node: Node, model: Model, context: PassContext) => string | undefined;
const LOWER: Readonly<Record<string, Lower>> = { Slice: slice, Split: split, Gather: gather };

/** One axis of a Slice, inside of its size. */
interface Cut {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

function slice(node: Node, model: Model, { changed }: PassContext): string | undefined {
  const [x, ...parts] = node.inputs;
  const shape = x?.shape;
  if (shape === undefined) return 'the rank of its input is unknown';
  const lists = parts.map((part) => part && constantNumbers(part));
  if (parts.some((part, at) => part !== undefined && lists[at] === undefined))
    return 'its bounds are not constant';
  const [starts = [], ends = [], axes, steps] = lists;
  const cuts: Cut[] = [];
  for (const [at, start] of starts.entries()) {
    const axis = inside(axes?.[at] ?? at, shape.length);
    const size = shape[axis];
    if (typeof size !== 'number') return `the size of axis ${axis} is not known`;
    cuts.push(bounded(axis, start, ends[at]!, steps?.[at] ?? 1, size));
  }
  const emit = new Emitter(model, node);
  const forwards = cuts.filter(({ step }) => step > 0);
  const backwards = cuts.filter(({ step }) => step < 0);
  if (backwards.length > 0) {
    changed('backwards → Gather', node);
    let value = x!;
    if (forwards.length > 0) value = emit.op('Slice', [value, ...written(emit, forwards)]);
    for (const cut of backwards)
      value = emit.op('Gather', [value, emit.ints(placesOf(cut))], { axis: cut.axis });
    replaceNode(node, [value]);
    return undefined;
  }
  const wanted = [starts, ends, axes, steps].map((_, at) =>
    cuts.map((cut) => [cut.start, cut.end, cut.axis, cut.step][at]!),
  );
  if (wanted.every((list, at) => lists[at]?.join() === list.join())) return undefined;
  changed('bounds inside of the size', node);
  setInputs(node, [x, ...written(emit, cuts)]);
  return undefined;
}

const written = (emit: Emitter, cuts: readonly Cut[]): Value[] =>
  [
    cuts.map(({ start }) => start),
    cuts.map(({ end }) => end),
    cuts.map(({ axis }) => axis),
    cuts.map(({ step }) => step),
  ].map((list) => emit.ints(list));

function placesOf({ start, end, step }: Cut): number[] {
  const places: number[] = [];
  for (let at = start; step > 0 ? at < end : at > end; at += step) places.push(at);
  return places;
}

/** Bounds as Slice reads them: from the end where negative, then no further than the size. */
function bounded(axis: number, start: number, end: number, step: number, size: number): Cut {
  const clip = (place: number, least: number, most: number) =>
    Math.min(Math.max(place < 0 ? place + size : place, least), most);
  if (step > 0) return { axis, start: clip(start, 0, size), end: clip(end, 0, size), step };
  return { axis, start: clip(start, 0, size - 1), end: clip(end, -1, size - 1), step };
}

const inside = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

function split(node: Node, model: Model, { changed }: PassContext): string | undefined {
  const [x, sizes] = node.inputs;
  const shape = x?.shape;
  if (shape === undefined) return 'the rank of its input is unknown';
  const axis = inside(node.int('axis', 0), shape.length);
  const size = shape[axis];
  const count = node.outputs.length;
  const stated = sizes ? constantNumbers(sizes) : undefined;
  if (sizes && !stated) return 'its parts are not constant';
  if (!stated && typeof size !== 'number') return `the size of axis ${axis} is not known`;
  const each = Math.ceil((size as number) / count);
  const parts =
    stated ??
    Array.from({ length: count }, (_, at) => Math.max(0, Math.min(each, (size as number) - at * each)));
  if (parts.every((part) => part === parts[0])) return undefined;
  changed(`parts of ${parts} → Slices`, node);
  const emit = new Emitter(model, node);
  let start = 0;
  replaceNode(
    node,
    node.outputs.map((output, at) => {
      const cut = { axis, start, end: start + parts[at]!, step: 1 };
      start = cut.end;
      return output.uses.length > 0 || output.isOutput
        ? emit.op('Slice', [x, ...written(emit, [cut])])
        : undefined;
    }),
  );
  return undefined;
}

function gather(node: Node, model: Model, { changed }: PassContext): string | undefined {
  const [x, index] = node.inputs;
  const tensor = constantOf(index);
  const places = constantNumbers(index);
  const shape = x?.shape;
  if (tensor === undefined || places === undefined || x === undefined) return 'its places are not constant';
  if (shape === undefined) return 'the rank of its input is unknown';
  const axis = inside(node.int('axis', 0), shape.length);
  const size = shape[axis];
  if (typeof size !== 'number') return `the size of axis ${axis} is not known`;
  const front = places.map((place) => inside(place, size));
  const emit = new Emitter(model, node);
  const rest = shape.filter((_, at) => at !== axis);
  // A table stays a table: nothing would be gained by cutting constants.
  if (tensor.shape.length === 0 && constantOf(x) === undefined && isStatic(rest) && !rest.includes(0)) {
    changed('one place → Slice and Reshape', node);
    const [start] = front as [number];
    const cut = emit.op('Slice', [x, ...written(emit, [{ axis, start, end: start + 1, step: 1 }])]);
    replaceNode(node, [emit.op('Reshape', [cut, emit.ints(rest)])]);
    return undefined;
  }
  if (front.every((place, at) => place === places[at])) return undefined;
  changed('places from the front', node);
  setInput(node, 1, emit.constant(Tensor.ints(front, tensor.shape)));
  return undefined;
}
