/** Operators that work in any order of axes: which inputs and outputs carry the order, and what else must follow it. */
import {
  addConstant,
  axisFromFront,
  constantNumbers,
  constantOf,
  type Model,
  type Node,
  readsFunctionAttributes,
  setAttribute,
  setInput,
  Tensor,
  type Value,
} from '../../src/index.js';
import { invert, keepsBytes, type Permutation, permuted, transposedTensor } from './permutation.js';

export interface Role {
  /** Inputs of the full rank, which change order along with the node. */
  readonly carried: readonly number[];
  /** Outputs of the full rank. An operator that drops axes has none: its result is the same in either order. */
  readonly emitted: readonly number[];
  /** Rewrites attributes and constants, given that the node now works on values in the order before `perm`. */
  readonly adapt?: (model: Model) => void;
}

const UNARY = new Set(
  (
    'Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Cast Ceil Celu Clip Cos Cosh Elu Erf Exp Floor Gelu HardSigmoid ' +
    'HardSwish Identity IsInf IsNaN LeakyRelu Log Mish Neg Not Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh ' +
    'Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu'
  ).split(' '),
);
const ELEMENTWISE = new Set(
  (
    'Add And BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mod Mul Or ' +
    'Pow PRelu Sub Sum Where Xor'
  ).split(' '),
);
const REDUCTIONS = new Set(
  'ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare'.split(
    ' ',
  ),
);

/**
 * The role of a node among values of the order that `Transpose<perm>` gives. An axis `a` in that order is axis
 * `perm[a]` in the order before it. Undefined for a node that cannot follow.
 */
export function roleOf(node: Node, perm: Permutation, opset: number): Role | undefined {
  if (node.domain !== '' || readsFunctionAttributes(node) || opset < 7) return undefined;
  const { opType } = node;
  const rank = perm.length;
  if (ELEMENTWISE.has(opType)) return elementwise(node, perm);
  if (opType === 'Concat') return concat(node, perm);
  if (node.inputs[0]?.shape?.length !== rank) return undefined;
  if (UNARY.has(opType)) return { carried: [0], emitted: [0] };
  if (REDUCTIONS.has(opType)) return reduction(node, perm, opset);
  switch (opType) {
    case 'Softmax':
    case 'LogSoftmax':
    case 'Hardmax':
      // Before opset 13 these flatten the axes behind theirs.
      return opset >= 13 ? alongAxis(node, perm, -1) : undefined;
    case 'Split':
      return alongAxis(node, perm, 0);
    case 'QuantizeLinear':
    case 'DequantizeLinear':
      return quantization(node, perm);
    case 'Pad':
      return pad(node, perm, opset);
    case 'Slice':
      return slice(node, perm, opset);
    case 'Squeeze':
      return squeeze(node, perm, opset);
    default:
      return undefined;
  }
}

const all = (list: readonly unknown[]): number[] => list.map((_, index) => index);

/** True for a value that broadcasts alike in every order: no axis is longer than 1. */
const isSingle = (value: Value, rank: number): boolean =>
  value.shape !== undefined && value.shape.length <= rank && value.shape.every((dim) => dim === 1);

/** A constant with leading axes of 1 up to the rank, in the order before `perm`. */
function constantBefore(value: Value, perm: Permutation): Tensor | undefined {
  const tensor = constantOf(value);
  if (tensor === undefined || tensor.shape.length > perm.length) return undefined;
  const shape = [...Array<number>(perm.length - tensor.shape.length).fill(1), ...tensor.shape];
  return transposedTensor(tensor.with({ shape }), invert(perm));
}

function adaptConstant(model: Model, node: Node, index: number, perm: Permutation): void {
  const tensor = constantBefore(node.inputs[index]!, perm)!;
  setInput(node, index, addConstant(model, node.graph, tensor, node.inputs[index]!.name));
}

function elementwise(node: Node, perm: Permutation): Role | undefined {
  const carried: number[] = [];
  const constants: number[] = [];
  for (const [index, input] of node.inputs.entries()) {
    if (input === undefined) return undefined;
    if (isSingle(input, perm.length)) continue;
    if (canAdapt(input, perm)) constants.push(index);
    else if (input.shape?.length === perm.length) carried.push(index);
    else return undefined;
  }
  if (carried.length === 0 || node.outputs[0]?.shape?.length !== perm.length) return undefined;
  return {
    carried,
    emitted: [0],
    adapt: (model) => {
      for (const index of constants) adaptConstant(model, node, index, perm);
    },
  };
}

/** A large constant that others read as well would be stored twice. */
function canAdapt(value: Value, perm: Permutation): boolean {
  const tensor = constantOf(value);
  if (tensor === undefined || tensor.shape.length > perm.length || tensor.source.kind === 'strings')
    return false;
  const shape = [...Array<number>(perm.length - tensor.shape.length).fill(1), ...tensor.shape];
  if (keepsBytes(shape, invert(perm))) return true;
  return (
    (value.uses.length === 1 || tensor.byteLength <= 65_536) && constantBefore(value, perm) !== undefined
  );
}

function concat(node: Node, perm: Permutation): Role | undefined {
  const axis = axisFromFront(node.int('axis', 0), perm.length);
  if (axis === undefined || node.inputs.some((input) => input?.shape?.length !== perm.length))
    return undefined;
  const constants = all(node.inputs).filter((index) => constantOf(node.inputs[index]) !== undefined);
  if (constants.some((index) => !canAdapt(node.inputs[index]!, perm))) return undefined;
  return {
    carried: all(node.inputs).filter((index) => !constants.includes(index)),
    emitted: [0],
    adapt: (model) => {
      setAttribute(node, 'axis', perm[axis]);
      for (const index of constants) adaptConstant(model, node, index, perm);
    },
  };
}

function alongAxis(node: Node, perm: Permutation, otherwise: number): Role | undefined {
  const axis = axisFromFront(node.int('axis', otherwise), perm.length);
  if (axis === undefined) return undefined;
  return { carried: [0], emitted: all(node.outputs), adapt: () => setAttribute(node, 'axis', perm[axis]) };
}

function quantization(node: Node, perm: Permutation): Role | undefined {
  if (node.int('block_size', 0) !== 0) return undefined;
  const scale = node.inputs[1]?.shape;
  if (scale === undefined || scale.length > 1) return undefined;
  if (scale.every((dim) => dim === 1)) return { carried: [0], emitted: [0] };
  return alongAxis(node, perm, 1);
}

/** Axes from the front that a node names by attribute or by constant input; undefined when they are computed. */
function namedAxes(node: Node, index: number, asInput: boolean, rank: number): number[] | 'none' | undefined {
  const given = asInput ? node.inputs[index] !== undefined : node.ints('axes') !== undefined;
  if (!given) return 'none';
  const axes = (asInput ? constantNumbers(node.inputs[index]) : node.ints('axes'))?.map((axis) =>
    axisFromFront(axis, rank),
  );
  return axes === undefined || axes.includes(undefined) ? undefined : (axes as number[]);
}

function setAxes(model: Model, node: Node, index: number, asInput: boolean, axes: readonly number[]): void {
  if (!asInput) setAttribute(node, 'axes', axes);
  else {
    // Slice wants its axes in the dtype of its starts.
    const { dtype } = node.inputs[index] ?? node.inputs[1] ?? {};
    const tensor =
      dtype === 'int32' ? Tensor.of('int32', [axes.length], Int32Array.from(axes)) : Tensor.ints(axes);
    setInput(node, index, addConstant(model, node.graph, tensor, `${node.outputs[0]!.name}_axes`));
  }
}

/** The axes that are left when some are dropped come in the same order before `perm` as behind it. */
const keepsOrder = (perm: Permutation, dropped: readonly number[]): boolean =>
  perm
    .filter((_, axis) => !dropped.includes(axis))
    .every((axis, index, left) => index === 0 || axis > left[index - 1]!);

function reduction(node: Node, perm: Permutation, opset: number): Role | undefined {
  const asInput = opset >= 18 || (node.opType === 'ReduceSum' && opset >= 13);
  const axes = namedAxes(node, 1, asInput, perm.length);
  if (axes === undefined) return undefined;
  const keeps = node.int('keepdims', 1) !== 0;
  const none = axes === 'none' || axes.length === 0;
  if (none) {
    if (node.int('noop_with_empty_axes', 0) !== 0) return undefined;
    return { carried: [0], emitted: keeps ? [0] : [] };
  }
  if (!keeps && !keepsOrder(perm, axes)) return undefined;
  return {
    carried: [0],
    emitted: keeps ? [0] : [],
    adapt: (model) => setAxes(model, node, 1, asInput, permuted(perm, axes)),
  };
}

function squeeze(node: Node, perm: Permutation, opset: number): Role | undefined {
  const axes = namedAxes(node, 1, opset >= 13, perm.length);
  if (axes === undefined || axes === 'none' || !keepsOrder(perm, axes)) return undefined;
  return {
    carried: [0],
    emitted: [],
    adapt: (model) => setAxes(model, node, 1, opset >= 13, permuted(perm, axes)),
  };
}

function pad(node: Node, perm: Permutation, opset: number): Role | undefined {
  const rank = perm.length;
  const asInput = opset >= 11;
  const pads = asInput ? constantNumbers(node.inputs[1]) : node.ints('pads');
  const axes = namedAxes(node, 3, asInput, rank);
  if (pads === undefined || axes === undefined) return undefined;
  if (axes !== 'none') {
    return {
      carried: [0],
      emitted: [0],
      adapt: (model) => setAxes(model, node, 3, true, permuted(perm, axes)),
    };
  }
  if (pads.length !== 2 * rank) return undefined;
  const inverse = invert(perm);
  const moved = [...permuted(pads.slice(0, rank), inverse), ...permuted(pads.slice(rank), inverse)];
  return {
    carried: [0],
    emitted: [0],
    adapt: (model) => {
      if (!asInput) setAttribute(node, 'pads', moved);
      else setInput(node, 1, addConstant(model, node.graph, Tensor.ints(moved), node.inputs[1]!.name));
    },
  };
}

function slice(node: Node, perm: Permutation, opset: number): Role | undefined {
  const asInput = opset >= 10;
  const named = namedAxes(node, 3, asInput, perm.length);
  const starts = asInput ? node.inputs[1]?.shape?.[0] : node.ints('starts')?.length;
  if (named === undefined || typeof starts !== 'number') return undefined;
  const axes = named === 'none' ? Array.from({ length: starts }, (_, axis) => axis) : named;
  return {
    carried: [0],
    emitted: [0],
    adapt: (model) => setAxes(model, node, 3, asInput, permuted(perm, axes)),
  };
}
