/** Operators that hand scales on: if the channels of one value are scaled, those of the others are, alike. */
import { constantNumbers, constantOf, isReal, type Node, sameDim, type Value } from '../../src/index.js';

/** A value around a node, where its channels lie, and which channel in common each of them is. */
export interface Tie {
  readonly value: Value;
  readonly axes: readonly number[];
  readonly index: (channel: number) => number;
}

type Axes = readonly number[];
type Rule = (node: Node, value: Value, axes: Axes) => readonly Tie[] | undefined;

const same = (channel: number): number => channel;
/** One channel for one channel; not where sizes differ, since one of them is then repeated for many. */
function alike(values: readonly Value[], axes: Axes): readonly Tie[] | undefined {
  const [first] = values;
  const fits = values.every((value) =>
    axes.every(
      (axis) => typeof value.shape?.[axis] === 'number' && value.shape[axis] === first!.shape![axis],
    ),
  );
  return fits ? values.map((value) => ({ value, axes, index: same })) : undefined;
}

/**
 * The values around a node whose channels are scaled when those of `value` are; undefined where the node does not
 * commute with scaling, or nobody can tell.
 */
export function tiesOf(node: Node, value: Value, axes: Axes): readonly Tie[] | undefined {
  const rule = node.domain === '' ? RULES[node.opType] : undefined;
  if (rule === undefined || node.outputs.slice(1).some((output) => node.opType !== 'Split' && isRead(output)))
    return undefined;
  return rule(node, value, axes);
}

const isRead = (value: Value): boolean => !value.isOmitted && (value.uses.length > 0 || value.isOutput);
const isData = (node: Node, value: Value): boolean =>
  value === node.outputs[0] || (value === node.inputs[0] && node.inputs.indexOf(value, 1) < 0);

/** y(s·x) = s·y(x) for s > 0, element by element. */
const elementwise: Rule = (node, value, axes) =>
  isData(node, value) ? alike([node.inputs[0]!, node.outputs[0]!], axes) : undefined;

/** Over windows of each channel. */
const pool: Rule = (node, value, axes) =>
  axes.every((axis) => axis < 2) ? elementwise(node, value, axes) : undefined;

/** From 0 on: the upper end, where there is one, is minded by whoever chooses the scales. */
const clip: Rule = (node, value, axes) => {
  const [, least, most] = node.inputs;
  const fromZero = constantNumbers(least)?.[0] === 0;
  return fromZero && (most === undefined || constantOf(most)) ? elementwise(node, value, axes) : undefined;
};

/** Sums of equals, and of constants that are scaled as well. */
const sum: Rule = (node, _value, axes) => {
  const computed = node.inputs.filter((input) => !input!.isConstant) as Value[];
  const all = [...computed, node.outputs[0]!];
  const rank = node.outputs[0]!.shape?.length;
  if (all.some((each) => each.shape?.length !== rank)) return undefined;
  const constants = node.inputs.filter((input) => input!.isConstant) as Value[];
  return constants.every((each) => canSpread(each, all[0]!, axes)) ? alike(all, axes) : undefined;
};

/** Constants larger than this are not made larger. */
const LARGEST = 65_536;

/** A constant operand that nobody else reads, and that may be given a number for each channel. */
function canSpread(value: Value, beside: Value, axes: Axes): boolean {
  const tensor = value.uses.length === 1 ? constantOf(value) : undefined;
  if (tensor === undefined || !isReal(tensor.dtype)) return false;
  const rank = beside.shape!.length;
  if (tensor.shape.length > rank) return false;
  const dims = axes.map((axis) => beside.shape![axis] as number);
  const has = axes.map((axis) => tensor.shape[axis - rank + tensor.shape.length] ?? 1);
  const grown = has.reduce((count, dim, i) => (dim === 1 ? count * dims[i]! : count), tensor.count);
  return grown === tensor.count || grown <= LARGEST;
}

/** x·c, x/c with a constant that is the same for all channels (others end scales, see `ends.ts`). */
const scaled: Rule = (node, value, axes) => {
  const data = node.inputs[0]!.isConstant && node.opType === 'Mul' ? node.inputs[1]! : node.inputs[0]!;
  const other = data === node.inputs[0] ? node.inputs[1]! : node.inputs[0]!;
  if (!other.isConstant || data.shape?.length !== node.outputs[0]!.shape?.length) return undefined;
  return value === data || value === node.outputs[0] ? alike([data, node.outputs[0]!], axes) : undefined;
};

const concat: Rule = (node, value, axes) => {
  const rank = value.shape!.length;
  const axis = (node.int('axis', 0) + rank) % rank;
  const parts = node.inputs as readonly Value[];
  if (!axes.includes(axis)) return alike([...parts, node.outputs[0]!], axes);
  if (axes.length > 1) return undefined;
  return partition(parts, node.outputs[0]!, axis);
};

const split: Rule = (node, value, axes) => {
  if (value !== node.inputs[0] && !node.outputs.includes(value)) return undefined;
  const rank = value.shape!.length;
  const axis = (node.int('axis', 0) + rank) % rank;
  if (!axes.includes(axis)) return alike([node.inputs[0]!, ...node.outputs], axes);
  return axes.length > 1 ? undefined : partition(node.outputs, node.inputs[0]!, axis);
};

/** Parts one after another along the axis of the channels make the whole. */
function partition(parts: readonly Value[], whole: Value, axis: number): readonly Tie[] | undefined {
  const ties: Tie[] = [{ value: whole, axes: [axis], index: same }];
  let start = 0;
  for (const value of parts) {
    const dim = value.shape?.[axis];
    if (typeof dim !== 'number') return undefined;
    const before = start;
    ties.push({ value, axes: [axis], index: (channel) => before + channel });
    start += dim;
  }
  return whole.shape?.[axis] === start ? ties : undefined;
}

/** What is put around is zero, or taken from the same channel; zeros beside the channels are scaled by anything. */
const pad: Rule = (node, value, axes) => {
  const rank = value.shape?.length;
  const mode = node.string('mode', 'constant');
  const pads = constantNumbers(node.inputs[1]);
  const over = node.inputs[3] === undefined ? undefined : constantNumbers(node.inputs[3]);
  if (!isData(node, value) || rank === undefined || pads === undefined) return undefined;
  if (node.inputs[3] !== undefined && over === undefined) return undefined;
  if (mode === 'constant' && node.inputs[2] !== undefined && constantNumbers(node.inputs[2])?.[0] !== 0)
    return undefined;
  const padded = over?.map((axis) => (axis + rank) % rank) ?? value.shape!.map((_, axis) => axis);
  const around = (axis: number) => {
    const at = padded.indexOf(axis);
    return at < 0 ? [0, 0] : [pads[at]!, pads[at + padded.length]!];
  };
  const touched = axes.filter((axis) => around(axis).some((each) => each !== 0));
  if (touched.length === 0) return elementwise(node, value, axes);
  const [before, after] = around(axes[0]!) as [number, number];
  if (axes.length > 1 || mode !== 'constant' || before < 0 || after < 0) return undefined;
  return [
    { value: node.inputs[0]!, axes, index: (channel) => channel + before },
    { value: node.outputs[0]!, axes, index: same },
  ];
};

const slice: Rule = (node, value, axes) => {
  const rank = value.shape?.length;
  const starts = constantNumbers(node.inputs[1]);
  const over = node.inputs[3] === undefined ? starts?.map((_, i) => i) : constantNumbers(node.inputs[3]);
  if (!isData(node, value) || rank === undefined || over === undefined) return undefined;
  const sliced = over.map((axis) => (axis + rank) % rank);
  return axes.some((axis) => sliced.includes(axis)) ? undefined : elementwise(node, value, axes);
};

/** Interpolation is linear; beyond the edge it repeats, unless told to put a number there. */
const resize: Rule = (node, value, axes) => {
  if (node.string('coordinate_transformation_mode', '') === 'tf_crop_and_resize') return undefined;
  const [from, to] = [node.inputs[0]?.shape, node.outputs[0]?.shape];
  if (!axes.every((axis) => from?.[axis] !== undefined && from[axis] === to?.[axis])) return undefined;
  return elementwise(node, value, axes);
};

/** Over axes that hold no channels. */
const reduce: Rule = (node, value, axes) => {
  const rank = node.inputs[0]?.shape?.length;
  const over = constantNumbers(node.inputs[1]);
  if (!isData(node, value) || rank === undefined || over === undefined || over.length === 0) return undefined;
  const gone = over.map((axis) => (axis + rank) % rank);
  const kept = node.int('keepdims', 1) === 1;
  const outer = value.shape!.map((_, axis) => axis);
  const left = Array.from({ length: rank }, (_, axis) => axis).filter((axis) => !gone.includes(axis));
  const toOuter = (axis: number) => (kept ? axis : left.indexOf(axis));
  const inner =
    value === node.inputs[0]
      ? axes
      : outer.filter((at) => axes.includes(at)).map((at) => (kept ? at : left[at]!));
  if (inner.some((axis) => axis === undefined || gone.includes(axis))) return undefined;
  return [
    { value: node.inputs[0]!, axes: inner, index: same },
    { value: node.outputs[0]!, axes: inner.map(toOuter), index: same },
  ];
};

/** The position of each channel when they are counted along these axes of these sizes. */
function counting(axes: Axes, dims: readonly number[], order: Axes): (channel: number) => number {
  return (channel) => {
    const at: number[] = [];
    for (let i = axes.length - 1, rest = channel; i >= 0; i--) {
      at[axes[i]!] = rest % dims[i]!;
      rest = Math.floor(rest / dims[i]!);
    }
    return order.reduce((index, axis) => index * dims[axes.indexOf(axis)]! + at[axis]!, 0);
  };
}

const transpose: Rule = (node, value, axes) => {
  const rank = value.shape?.length;
  if (rank === undefined) return undefined;
  const perm = node.ints('perm') ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
  const inner = value === node.inputs[0] ? axes : axes.map((axis) => perm[axis]!).sort((a, b) => a - b);
  const outer = inner.map((axis) => perm.indexOf(axis)).sort((a, b) => a - b);
  const shape = node.outputs[0]!.shape;
  const dims = outer.map((axis) => shape?.[axis]);
  if (!dims.every((dim) => typeof dim === 'number')) return undefined;
  const order = inner.map((axis) => perm.indexOf(axis));
  return [
    { value: node.inputs[0]!, axes: inner, index: same },
    { value: node.outputs[0]!, axes: outer, index: counting(outer, dims, order) },
  ];
};

/**
 * Reshape and its kin: the elements stay in order. Counted from the end, dimensions fall into groups of equal size on
 * both sides; a group that holds channels on one side holds them on the other.
 */
const reshape: Rule = (node, value, axes) => {
  const [from, to] = [node.inputs[0]!, node.outputs[0]!];
  if (!isData(node, value) || from.shape === undefined || to.shape === undefined) return undefined;
  const [here, there] = value === from ? [from.shape, to.shape] : [to.shape, from.shape];
  const groups = groupsOf(here, there);
  const found = axes.map((axis) => groups.find((group) => axis >= group.here[0] && axis < group.here[1]));
  const [group] = found;
  if (group === undefined || found.some((each) => each !== group)) return undefined;
  const range = ([start, end]: readonly [number, number]) =>
    Array.from({ length: end - start }, (_, i) => start + i);
  const [inside, outside] = [range(group.here), range(group.there).filter((axis) => there[axis] !== 1)];
  if (outside.length === 0) return undefined;
  const dims = inside.map((axis) => here[axis] as number);
  const channelAt = (flat: number): number => {
    let channel = 0;
    let step = 1;
    for (let i = inside.length - 1, rest = flat; i >= 0; i--) {
      if (axes.includes(inside[i]!)) {
        channel += (rest % dims[i]!) * step;
        step *= dims[i]!;
      }
      rest = Math.floor(rest / dims[i]!);
    }
    return channel;
  };
  return [
    { value, axes, index: same },
    { value: value === from ? to : from, axes: outside, index: channelAt },
  ];
};

interface Group {
  readonly here: readonly [number, number];
  readonly there: readonly [number, number];
}

type Shape = NonNullable<Value['shape']>;

function groupsOf(here: Shape, there: Shape): Group[] {
  const groups: Group[] = [];
  let start = 0;
  while (start < here.length && start < there.length && sameDim(here[start], there[start])) {
    groups.push({ here: [start, start + 1], there: [start, start + 1] });
    start++;
  }
  for (let i = here.length, j = there.length; i > start && j > start; ) {
    const [endHere, endThere] = [i, j];
    let [a, b] = [here[--i], there[--j]];
    while (typeof a === 'number' && typeof b === 'number' && a !== b) {
      if (a < b && i > start) a *= typeof here[i - 1] === 'number' ? (here[--i] as number) : Number.NaN;
      else if (a > b && j > start)
        b *= typeof there[j - 1] === 'number' ? (there[--j] as number) : Number.NaN;
      else return groups;
    }
    if (typeof a !== 'number' || a !== b) break;
    // Dimensions of 1 before the group belong to whichever side has more of them.
    while (i > start && here[i - 1] === 1 && !(j > start && there[j - 1] === 1)) i--;
    while (j > start && there[j - 1] === 1 && !(i > start && here[i - 1] === 1)) j--;
    groups.push({ here: [i, endHere], there: [j, endThere] });
  }
  return groups;
}

/** Repeats along dimensions that hold no channels. */
const expand: Rule = (node, value, axes) => {
  const [from, to] = [node.inputs[0]?.shape, node.outputs[0]?.shape];
  if (!isData(node, value) || from === undefined || to === undefined) return undefined;
  const shift = to.length - from.length;
  const inner = value === node.inputs[0] ? axes : axes.map((axis) => axis - shift);
  if (shift < 0 || inner.some((axis) => axis < 0 || from[axis] !== to[axis + shift])) return undefined;
  return [
    { value: node.inputs[0]!, axes: inner, index: same },
    { value: node.outputs[0]!, axes: inner.map((axis) => axis + shift), index: same },
  ];
};

/** Picks along an axis that holds no channels. */
const gather: Rule = (node, value, axes) => {
  const rank = node.inputs[0]?.shape?.length;
  const indices = node.inputs[1]?.shape?.length;
  if (!isData(node, value) || rank === undefined || indices === undefined) return undefined;
  const axis = (node.int('axis', 0) + rank) % rank;
  const toOuter = (at: number) => (at < axis ? at : at + indices - 1);
  const inner = value === node.inputs[0] ? axes : axes.map((at) => (at < axis ? at : at - indices + 1));
  if (inner.includes(axis) || inner.some((at, i) => value !== node.inputs[0] && toOuter(at) !== axes[i]))
    return undefined;
  return [
    { value: node.inputs[0]!, axes: inner, index: same },
    { value: node.outputs[0]!, axes: inner.map(toOuter), index: same },
  ];
};

/** P·V with a computed V: a scale for each column (and each matrix) of V scales the same of the product. */
const product: Rule = (node, value, axes) => {
  const [left, right] = node.inputs as readonly [Value, Value];
  const rank = node.outputs[0]!.shape?.length;
  if (value === left || left === right || rank === undefined || rank < 2) return undefined;
  if (left.isConstant || right.isConstant || right.shape?.length !== rank) return undefined;
  return axes.includes(rank - 2) ? undefined : alike([right, node.outputs[0]!], axes);
};

const RULES: Readonly<Record<string, Rule>> = {
  Relu: elementwise,
  LeakyRelu: elementwise,
  PRelu: elementwise,
  Identity: elementwise,
  Abs: elementwise,
  Clip: clip,
  MaxPool: pool,
  AveragePool: pool,
  GlobalAveragePool: pool,
  GlobalMaxPool: pool,
  Add: sum,
  Sub: sum,
  Mul: scaled,
  Div: scaled,
  Concat: concat,
  Split: split,
  Pad: pad,
  Slice: slice,
  Resize: resize,
  ReduceMean: reduce,
  ReduceSum: reduce,
  ReduceMax: reduce,
  Transpose: transpose,
  Reshape: reshape,
  Flatten: reshape,
  Squeeze: reshape,
  Unsqueeze: reshape,
  Expand: expand,
  Gather: gather,
  MatMul: product,
};
