/** Sizes of values in symbols, carried forward through the operators that most graphs are made of. */
import { axisFromFront, constantNumbers, type Node, type Value } from '../../src/index.js';
import type { Element, Elements } from './elements.js';

/** Sizes along each axis; undefined where a size is neither known nor named. */
export type Sizes = readonly Element[];

export interface Known {
  sizes(value: Value | undefined): Sizes | undefined;
  elements(value: Value | undefined): Elements | undefined;
}

type Rule = (node: Node, known: Known) => Sizes | undefined;

const list = (names: string): string[] => names.split(' ');

const SAME = list(
  'Abs Cast Ceil Celu Clip Cos Dropout Elu Erf Exp Floor Gelu HardSigmoid HardSwish Hardmax Identity ' +
    'InstanceNormalization LayerNormalization BatchNormalization LeakyRelu Log LogSoftmax Mish Neg Not QuantizeLinear ' +
    'DequantizeLinear Reciprocal Relu Round Selu Sigmoid Sign Sin Softmax Softplus Softsign Sqrt Tanh CumSum',
);
const BROADCAST = list(
  'Add And Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mod Mul Or Pow PRelu Sub Sum Where Xor',
);
const REDUCE = list('ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum');

/** The size that two broadcast to: one that is not 1 wins over 1, a number over a symbol (which must be it, or 1). */
function broadcastSize(a: Element, b: Element): Element {
  if (a === b || b === 1) return a;
  if (a === 1) return b;
  if (typeof a === 'number') return a;
  return typeof b === 'number' ? b : undefined;
}

export function broadcast(shapes: readonly Sizes[]): Sizes {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) =>
    shapes.reduce<Element>((size, shape) => {
      const at = axis - (rank - shape.length);
      return at < 0 ? size : broadcastSize(size, shape[at]);
    }, 1),
  );
}

const elementwise: Rule = (node, known) => {
  const shapes = node.inputs.map((input) => known.sizes(input));
  return shapes.includes(undefined) ? undefined : broadcast(shapes as Sizes[]);
};

const matMul: Rule = (node, known) => {
  const [a, b] = [known.sizes(node.inputs[0]), known.sizes(node.inputs[1])];
  if (a === undefined || b === undefined || a.length < 2 || b.length < 2) return undefined;
  return [...broadcast([a.slice(0, -2), b.slice(0, -2)]), a.at(-2), b.at(-1)];
};

const transpose: Rule = (node, known) => {
  const input = known.sizes(node.inputs[0]);
  const perm = node.ints('perm') ?? input?.map((_, axis) => input.length - 1 - axis);
  return input && perm?.map((axis) => input[axis]);
};

const gather: Rule = (node, known) => {
  const [data, indices] = [known.sizes(node.inputs[0]), known.sizes(node.inputs[1])];
  const axis = axisFromFront(node.int('axis', 0), data?.length);
  if (data === undefined || indices === undefined || axis === undefined) return undefined;
  return [...data.slice(0, axis), ...indices, ...data.slice(axis + 1)];
};

const concat: Rule = (node, known) => {
  const shapes = node.inputs.map((input) => known.sizes(input));
  const first = shapes[0];
  const axis = axisFromFront(node.int('axis', 0), first?.length);
  if (first === undefined || shapes.includes(undefined)) return undefined;
  return first.map((size, at) => {
    if (at !== axis) return shapes.map((shape) => shape![at]).find((each) => each !== undefined) ?? size;
    const sizes = shapes.map((shape) => shape![at]);
    return sizes.every((each) => typeof each === 'number')
      ? sizes.reduce((sum, each) => sum + each, 0)
      : undefined;
  });
};

const namedAxes = (node: Node, rank: number): number[] | undefined => {
  const axes = (node.ints('axes') ?? (node.inputs[1] ? constantNumbers(node.inputs[1]) : undefined))?.map(
    (axis) => axisFromFront(axis, rank),
  );
  return axes === undefined || axes.includes(undefined) ? undefined : (axes as number[]);
};

const reduce: Rule = (node, known) => {
  const input = known.sizes(node.inputs[0]);
  const axes = input && namedAxes(node, input.length);
  if (input === undefined || axes === undefined || axes.length === 0) return undefined;
  return node.int('keepdims', 1) === 0
    ? input.filter((_, axis) => !axes.includes(axis))
    : input.map((size, axis) => (axes.includes(axis) ? 1 : size));
};

const squeeze: Rule = (node, known) => {
  const input = known.sizes(node.inputs[0]);
  const axes = input && namedAxes(node, input.length);
  return axes && input.filter((_, axis) => !axes.includes(axis));
};

const unsqueeze: Rule = (node, known) => {
  const input = known.sizes(node.inputs[0]);
  const count = (node.ints('axes') ?? constantNumbers(node.inputs[1]))?.length;
  if (input === undefined || count === undefined) return undefined;
  const axes = namedAxes(node, input.length + count);
  if (axes === undefined) return undefined;
  const left = [...input];
  return Array.from({ length: input.length + count }, (_, axis) => (axes.includes(axis) ? 1 : left.shift()));
};

/** Sizes of what is cut or joined along some axes; the others stay. */
const slice: Rule = (node, known) => {
  const input = known.sizes(node.inputs[0]);
  const axes = input && (node.inputs[3] ? constantNumbers(node.inputs[3]) : node.ints('axes'));
  if (input === undefined || axes === undefined) return undefined;
  const cut = axes.map((axis) => axisFromFront(axis, input.length));
  return input.map((size, axis) => (cut.includes(axis) ? undefined : size));
};

const split: Rule = (node, known) => {
  const input = known.sizes(node.inputs[0]);
  const axis = axisFromFront(node.int('axis', 0), input?.length);
  return input?.map((size, at) => (at === axis ? undefined : size));
};

const reshape: Rule = (node, known) => {
  const input = known.sizes(node.inputs[0]);
  const target = known.elements(node.inputs[1]);
  if (target === undefined || target.scalar || node.int('allowzero', 0) === 1) return undefined;
  const sizes = target.list.map((size, axis) =>
    size === 0 ? input?.[axis] : size === -1 ? undefined : size,
  );
  const open = sizes.filter((size) => size === undefined);
  if (open.length === 1 && input !== undefined) {
    const rest = remaining(
      input,
      sizes.filter((size) => size !== undefined),
    );
    return sizes.map((size) => size ?? rest);
  }
  return sizes;
};

/** What is left of a product of sizes when some factors are taken out: a number, a symbol, or undefined. */
function remaining(all: Sizes, taken: Sizes): Element {
  const symbols = all.filter((size) => typeof size !== 'number');
  if (symbols.includes(undefined)) return undefined;
  let [top, bottom] = [1, 1];
  for (const size of all) if (typeof size === 'number') top *= size;
  for (const size of taken) {
    if (typeof size === 'number') bottom *= size;
    else if (symbols.includes(size)) symbols.splice(symbols.indexOf(size), 1);
    else return undefined;
  }
  if (bottom === 0 || top % bottom !== 0) return undefined;
  if (symbols.length === 0) return top / bottom;
  return symbols.length === 1 && top === bottom ? symbols[0] : undefined;
}

const expand: Rule = (node, known) => {
  const [input, target] = [known.sizes(node.inputs[0]), known.elements(node.inputs[1])];
  return input === undefined || target === undefined ? undefined : broadcast([input, target.list]);
};

const same: Rule = (node, known) => known.sizes(node.inputs[0]);
const each = (names: readonly string[], rule: Rule): Record<string, Rule> =>
  Object.fromEntries(names.map((name) => [name, rule]));

/** The sizes of a node's first output (of every output, for Split), by operator of ai.onnx. */
export const SIZE_RULES: Readonly<Record<string, Rule>> = {
  ...each(SAME, same),
  ...each(BROADCAST, elementwise),
  ...each(REDUCE, reduce),
  MatMul: matMul,
  Transpose: transpose,
  Gather: gather,
  Concat: concat,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Slice: slice,
  Split: split,
  Reshape: reshape,
  Expand: expand,
};
