/** Writes the nodes of a backward graph: operators, constants and shapes, at the end of a graph. */
import { QuantcError } from '../errors/error.js';
import type { AttributeInput } from '../ir/attribute.js';
import type { DType } from '../ir/dtype.js';
import { addInitializer, createNode, renameNode } from '../ir/edit.js';
import type { Graph, Value } from '../ir/graph.js';
import { sameDim } from '../ir/shape.js';
import { Tensor } from '../ir/tensor.js';
import { type Dim, isStatic, type Type, tensorType } from '../ir/type.js';

export type Attributes = Readonly<Record<string, AttributeInput | undefined>>;

/** Operators whose output has the broadcast shape of their inputs, and the dtype of the last one. */
const BROADCASTING = new Set(
  (
    'Add Sub Mul Div Pow Min Max Sum Where Neg Exp Log Sqrt Reciprocal Abs Sign Sin Cos Tan Sinh Cosh Tanh Erf ' +
    'Sigmoid Softplus Relu Softmax Clip Round Identity Not And Or'
  ).split(' '),
);
const COMPARING = new Set(['Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual', 'Equal', 'Not', 'And', 'Or']);
const SHAPING = new Set(['Shape', 'Size', 'NonZero', 'ArgMax', 'Range']);

/** The shape that shapes broadcast to, as far as they prove it. */
export function broadcastShape(shapes: readonly (readonly Dim[] | undefined)[]): Dim[] | undefined {
  if (shapes.some((shape) => shape === undefined)) return undefined;
  const rank = Math.max(0, ...shapes.map((shape) => shape!.length));
  return Array.from({ length: rank }, (_, axis) => {
    const dims = shapes
      .map((shape) => shape![axis - rank + shape!.length])
      .filter((dim) => dim !== undefined && dim !== 1);
    const first = dims[0];
    if (first === undefined) return 1;
    // A number above 1 decides; a name decides where no other size is in play.
    const number = dims.find((dim) => typeof dim === 'number');
    return number ?? (dims.every((dim) => sameDim(dim, first)) ? first : null);
  });
}

/**
 * Appends nodes to a graph. Constants are made once each; the nodes' outputs carry a dtype always, and a shape where
 * it follows from the inputs', so that rules may build on what other rules have made.
 */
export class Emitter {
  readonly graph: Graph;
  /** Put before the names of new nodes: what they are made for. */
  prefix = '';
  readonly #constants = new Map<string, Value>();
  readonly #shapes = new Map<Value, Value>();

  constructor(graph: Graph) {
    this.graph = graph;
  }

  /** One node with one output, which answers. */
  op(opType: string, inputs: readonly (Value | undefined)[], attributes?: Attributes, type?: Type): Value {
    return this.ops(opType, inputs, [type], attributes)[0]!;
  }

  /** One node with as many outputs as types are given. */
  ops(
    opType: string,
    inputs: readonly (Value | undefined)[],
    types: readonly (Type | undefined)[],
    attributes: Attributes = {},
  ): readonly Value[] {
    const given = [...inputs];
    while (given.length > 0 && given.at(-1) === undefined) given.pop();
    const name = `${this.prefix}${opType}`;
    const node = createNode(
      { endOf: this.graph },
      {
        opType,
        inputs: given,
        attributes,
        outputs: types.map((type) => ({ name, type: type ?? typeAfter(opType, given) })),
      },
    );
    // Values' names are the only ones of their kind, and nodes' must be for ONNX Runtime.
    renameNode(node, node.outputs[0]!.name);
    return node.outputs;
  }

  /** A constant, made once however often it is asked for. */
  constant(tensor: Tensor, name = 'constant'): Value {
    const key = `${tensor.dtype}|${tensor.shape.join()}|${Buffer.from(tensor.bytes()).toString('base64')}`;
    let value = this.#constants.get(key);
    if (value === undefined) {
      value = addInitializer(this.graph, tensor, name);
      this.#constants.set(key, value);
    }
    return value;
  }

  /** A constant of no dimensions in the dtype of a value. */
  scalar(number: number, like: Value | DType): Value {
    return this.constant(Tensor.scalar(number, typeof like === 'string' ? like : dtypeOf(like)), `${number}`);
  }

  /** An int64 constant of one dimension, or of the shape given. */
  ints(values: readonly number[], shape?: readonly number[]): Value {
    return this.constant(Tensor.ints(values, shape), 'ints');
  }

  /** The shape of a value as int64: a constant where it is known, else computed. */
  shapeOf(value: Value): Value {
    if (isStatic(value.shape)) return this.ints(value.shape);
    let shape = this.#shapes.get(value);
    if (shape === undefined) {
      const rank = value.shape?.length;
      shape = this.op('Shape', [value], {}, tensorType('int64', [rank ?? null]));
      this.#shapes.set(value, shape);
    }
    return shape;
  }

  /** How many elements a value holds per element of another one, in the dtype of the first. */
  share(value: Value, of: Value): Value {
    if (isStatic(value.shape) && isStatic(of.shape)) {
      const count = (shape: readonly number[]) => shape.reduce((product, dim) => product * dim, 1);
      return this.scalar(count(value.shape) / count(of.shape), value);
    }
    const size = (each: Value) => this.op('Size', [each], {}, tensorType('int64', []));
    return this.cast(this.op('Div', [size(value), size(of)]), value);
  }

  /** Casts to the dtype of another value. */
  cast(value: Value, like: Value | DType): Value {
    const dtype = typeof like === 'string' ? like : dtypeOf(like);
    if (value.dtype === dtype) return value;
    return this.op('Cast', [value], { to: CODES[dtype] }, tensorType(dtype, value.shape));
  }

  /** A value shaped as another one that holds as many elements. */
  reshapeLike(value: Value, like: Value): Value {
    if (sameKnown(value.shape, like.shape)) return value;
    return this.op('Reshape', [value, this.shapeOf(like)], {}, tensorType(dtypeOf(value), like.shape));
  }

  reshape(value: Value, shape: readonly number[]): Value {
    const known = shape.every((dim) => dim > 0) ? shape : undefined;
    return this.op('Reshape', [value, this.ints(shape)], {}, tensorType(dtypeOf(value), known));
  }

  transpose(value: Value, perm: readonly number[]): Value {
    if (perm.every((axis, at) => axis === at)) return value;
    const { shape } = value;
    const turned = shape && perm.map((axis) => shape[axis]!);
    return this.op('Transpose', [value], { perm: [...perm] }, tensorType(dtypeOf(value), turned));
  }

  /** Sum over axes, which stay as 1. */
  sum(value: Value, axes: readonly number[]): Value {
    return this.#reduced('ReduceSum', value, axes);
  }

  mean(value: Value, axes: readonly number[]): Value {
    return this.#reduced('ReduceMean', value, axes);
  }

  #reduced(opType: string, value: Value, axes: readonly number[]): Value {
    const rank = value.shape?.length;
    const front = rank === undefined ? [] : axes.map((axis) => (axis < 0 ? axis + rank : axis));
    const shape = value.shape?.map((dim, axis) => (front.includes(axis) ? 1 : dim));
    return this.op(opType, [value, this.ints(axes)], { keepdims: 1 }, tensorType(dtypeOf(value), shape));
  }

  /** A tensor of zeros, or of another number, in the shape and dtype of a value. */
  full(like: Value, number = 0): Value {
    const shape = isStatic(like.shape) ? like.shape : undefined;
    const fill = Tensor.scalar(number, dtypeOf(like)).with({ shape: [1] });
    return this.op(
      'ConstantOfShape',
      [this.shapeOf(like)],
      { value: fill },
      tensorType(dtypeOf(like), shape),
    );
  }

  /**
   * Sums a cotangent that has the shape of a broadcast result over the axes along which `like` was broadcast. The axes
   * are known from shapes where they are; else they are those along which `like` has size 1 when the graph runs.
   */
  sumTo(gradient: Value, like: Value): Value {
    const [from, to] = [gradient.shape, like.shape];
    if (from !== undefined && to !== undefined && to.length <= from.length) {
      if (sameKnown(from, to)) return gradient;
      const lead = from.length - to.length;
      const spread = from.flatMap((dim, axis) => {
        if (axis < lead) return [axis];
        return to[axis - lead] === 1 && dim !== 1 ? [axis] : [];
      });
      const settled = from.every(
        (dim, axis) => spread.includes(axis) || sameDim(dim, to[axis - lead]) || isSize(to[axis - lead]),
      );
      if (settled) {
        const leadOnly = lead > 0 && spread.length === lead;
        if (leadOnly) {
          const attributes = { keepdims: 0 };
          return this.op('ReduceSum', [gradient, this.ints(spread)], attributes, like.type);
        }
        const summed = spread.length === 0 ? gradient : this.sum(gradient, spread);
        return lead === 0 ? summed : this.reshapeLike(summed, like);
      }
    }
    return this.#sumToWhenRun(gradient, like);
  }

  #sumToWhenRun(gradient: Value, like: Value): Value {
    const vector = tensorType('int64', [null]);
    const shape = this.op('Shape', [like], {}, vector);
    const ranks = [gradient, like].map((each) =>
      this.op('Shape', [this.op('Shape', [each], {}, vector)], {}, tensorType('int64', [1])),
    );
    const one = Tensor.ints([1]);
    const lead = this.op('ConstantOfShape', [this.op('Sub', ranks)], { value: one }, vector);
    const padded = this.op('Concat', [lead, shape], { axis: 0 }, vector);
    const ones = this.op(
      'NonZero',
      [this.op('Equal', [padded, this.ints([1])])],
      {},
      tensorType('int64', [1, null]),
    );
    const axes = this.op('Reshape', [ones, this.ints([-1])], {}, vector);
    const attributes = { keepdims: 1, noop_with_empty_axes: 1 };
    const summed = this.op('ReduceSum', [gradient, axes], attributes, tensorType(dtypeOf(gradient)));
    return this.op('Reshape', [summed, shape], {}, like.type);
  }

  /** Sum of what several readers of one value hand back. */
  total(parts: readonly Value[]): Value {
    return parts.length === 1 ? parts[0]! : this.op(parts.length === 2 ? 'Add' : 'Sum', parts);
  }
}

const isSize = (dim: Dim | undefined): boolean => typeof dim === 'number' && dim > 1;

const sameKnown = (a: readonly Dim[] | undefined, b: readonly Dim[] | undefined): boolean =>
  a !== undefined &&
  b !== undefined &&
  a.length === b.length &&
  a.every((dim, axis) => sameDim(dim, b[axis]));

/** `TensorProto.DataType` of the dtypes that gradients are computed in, and of what indexes them. */
const CODES: Readonly<Partial<Record<DType, number>>> = {
  float: 1,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  double: 11,
  bfloat16: 16,
};

/** The dtype of a value. @throws QuantcError E_GRADIENT_TYPE when nobody has inferred it. */
export function dtypeOf(value: Value): DType {
  if (value.dtype === undefined) {
    throw new QuantcError('E_GRADIENT_TYPE', `the dtype of ${value.name} is not known`, {
      place: { value: value.name },
      hint: 'Infer the types of the model before differentiating it.',
    });
  }
  return value.dtype;
}

function typeAfter(opType: string, inputs: readonly (Value | undefined)[]): Type | undefined {
  const dtype = COMPARING.has(opType) ? 'bool' : SHAPING.has(opType) ? 'int64' : lastDtype(opType, inputs);
  if (dtype === undefined) return undefined;
  const follows = BROADCASTING.has(opType) || COMPARING.has(opType);
  const read = opType === 'Clip' ? inputs.slice(0, 1) : inputs;
  return tensorType(dtype, follows ? broadcastShape(read.map((input) => input?.shape)) : undefined);
}

/** Where reads its condition first; everything else computes in the dtype of its first input. */
const lastDtype = (opType: string, inputs: readonly (Value | undefined)[]): DType | undefined =>
  inputs[opType === 'Where' ? 1 : 0]?.dtype;
