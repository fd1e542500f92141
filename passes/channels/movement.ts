/** Operators that put elements elsewhere: where their channels lie before and behind them. */
import { constantNumbers, sameDim, type Value } from '../../src/index.js';
import { type Axes, isData, type Rule, same } from './tie.js';

/** Over axes that hold no channels. */
export const reduce: Rule = (node, value, axes) => {
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

export const transpose: Rule = (node, value, axes) => {
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
export const reshape: Rule = (node, value, axes) => {
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
export const expand: Rule = (node, value, axes) => {
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
export const gather: Rule = (node, value, axes) => {
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
