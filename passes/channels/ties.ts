/** Operators that hand scales on: if the channels of one value are scaled, those of the others are, alike. */
import { constantNumbers, constantOf, isReal, type Node, type Value } from '../../src/index.js';
import { expand, gather, reduce, reshape, transpose } from './movement.js';
import { type Axes, alike, elementwise, isData, type Rule, same, type Tie } from './tie.js';

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
