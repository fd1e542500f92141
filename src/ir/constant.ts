/** Constants as passes meet them: initializers, and Constant nodes where those stand (function bodies have no other). */
import { type DType, dtypeFacts } from './dtype.js';
import { addInitializer, createNode } from './edit.js';
import type { Graph, Model, Node, Value } from './graph.js';
import { functionAround } from './scope.js';
import { Tensor } from './tensor.js';
import { tensorType } from './type.js';

/** More elements than this are not looked at one by one to learn what they say. */
const READABLE = 65_536;

/** Tensors made of the plain attributes of Constant nodes, so that one node always answers with the same tensor. */
const made = new WeakMap<Node, Tensor>();

/** The tensor of a value that is the same in every run: an initializer that no caller overrides, or a Constant node. */
export function constantOf(value: Value | undefined): Tensor | undefined {
  if (value === undefined) return undefined;
  if (value.constant !== undefined) return value.isConstant ? value.constant : undefined;
  const { producer } = value;
  if (!producer?.is('Constant')) return undefined;
  const known = producer.tensor('value') ?? made.get(producer);
  if (known !== undefined) return known;
  const plain = plainConstant(producer);
  if (plain !== undefined) made.set(producer, plain);
  return plain;
}

/** What a Constant node states as a number or a list of numbers. */
function plainConstant(node: Node): Tensor | undefined {
  const float = node.float('value_float');
  if (float !== undefined) return Tensor.scalar(float);
  const floats = node.floats('value_floats');
  if (floats !== undefined) return Tensor.floats(floats);
  const int = node.attributes.get('value_int');
  if (int?.kind === 'int') return Tensor.ints([int.value], []);
  const ints = node.attributes.get('value_ints');
  return ints?.kind === 'ints' ? Tensor.ints(ints.value) : undefined;
}

const isPlainNumber = (dtype: DType): boolean => {
  const { kind, bits } = dtypeFacts(dtype);
  return kind !== 'string' && kind !== 'complex' && bits >= 8 && (kind !== 'float' || bits >= 16);
};

/** The number in a constant of one element; undefined for other constants and dtypes without plain numbers. */
export const scalarOf = (tensor: Tensor): number | undefined =>
  tensor.count === 1 && isPlainNumber(tensor.dtype) ? tensor.toNumbers()[0] : undefined;

/**
 * The elements of a small numeric constant, as plain numbers; undefined for what is not constant, of a dtype without
 * plain numbers, or larger than 65,536 elements.
 */
export function constantNumbers(value: Value | undefined): number[] | undefined {
  const tensor = constantOf(value);
  if (tensor === undefined || tensor.count > READABLE) return undefined;
  if (!isPlainNumber(tensor.dtype)) return undefined;
  return tensor.toNumbers();
}

/** The number that every element of a small constant is; undefined when they differ, are NaN, or there are none. */
export function uniformNumber(value: Value | undefined): number | undefined {
  const numbers = constantNumbers(value);
  const first = numbers?.[0];
  // Object.is tells −0 from +0: they add up differently.
  return first !== undefined && numbers!.every((each) => Object.is(each, first)) && !Number.isNaN(first)
    ? first
    : undefined;
}

/** Puts a constant into a graph: as an initializer, or as a Constant node at the head of a function's body. */
export function addConstant(model: Model, graph: Graph, tensor: Tensor, name?: string): Value {
  if (functionAround(model, graph) === undefined) return addInitializer(graph, tensor, name);
  const position = graph.first === undefined ? { endOf: graph } : { before: graph.first };
  const node = createNode(position, {
    opType: 'Constant',
    inputs: [],
    attributes: { value: tensor },
    outputs: [{ name: name || tensor.name || 'constant', type: tensorType(tensor.dtype, tensor.shape) }],
  });
  return node.outputs[0]!;
}
