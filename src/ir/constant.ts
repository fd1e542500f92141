/** Constants as passes meet them: initializers, and Constant nodes where those stand (function bodies have no other). */
import { dtypeFacts } from './dtype.js';
import { addInitializer, createNode } from './edit.js';
import type { Graph, Model, Value } from './graph.js';
import { functionAround } from './scope.js';
import type { Tensor } from './tensor.js';
import { tensorType } from './type.js';

/** More elements than this are not looked at one by one to learn what they say. */
const READABLE = 65_536;

/** The tensor of a value that is the same in every run: an initializer that no caller overrides, or a Constant node. */
export function constantOf(value: Value | undefined): Tensor | undefined {
  if (value === undefined) return undefined;
  if (value.constant !== undefined) return value.isConstant ? value.constant : undefined;
  return value.producer?.is('Constant') ? value.producer.tensor('value') : undefined;
}

/**
 * The elements of a small numeric constant, as plain numbers; undefined for what is not constant, of a dtype without
 * plain numbers, or larger than 65,536 elements.
 */
export function constantNumbers(value: Value | undefined): number[] | undefined {
  const tensor = constantOf(value);
  if (tensor === undefined || tensor.count > READABLE) return undefined;
  const { kind, bits } = dtypeFacts(tensor.dtype);
  if (kind === 'string' || kind === 'complex' || bits < 8 || (kind === 'float' && bits < 16))
    return undefined;
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
