/** Constants as passes meet them: initializers, and Constant nodes where those stand (function bodies have no other). */
import type { SparseTensor } from './attribute.js';
import { type DType, dtypeFacts } from './dtype.js';
import { addInitializer, createNode } from './edit.js';
import type { Graph, Model, Node, Value } from './graph.js';
import { functionAround } from './scope.js';
import { Tensor } from './tensor.js';
import { elementCount, tensorType } from './type.js';

/** More elements than this are not looked at one by one to learn what they say. */
const READABLE = 65_536;
/** A sparse constant is written out densely only up to this many elements; a larger one is sparse for a reason. */
const DENSE = 1 << 20;

/** Tensors made of what Constant nodes say, so that one node always answers with the same tensor. */
const made = new WeakMap<Node, Tensor>();

/**
 * The tensor of a value that is the same in every run: an initializer that no caller overrides, or what a Constant
 * node gives, whichever of its attributes says it. Undefined for everything else, for a Constant whose attribute
 * stands for one of the enclosing function, and for a large sparse one.
 */
export function constantOf(value: Value | undefined): Tensor | undefined {
  if (value === undefined) return undefined;
  if (value.constant !== undefined) return value.isConstant ? value.constant : undefined;
  const node = value.producer;
  if (!node?.is('Constant') || node.attributes.size !== 1) return undefined;
  let tensor = node.tensor('value') ?? made.get(node);
  if (tensor === undefined) {
    tensor = plainConstant(node);
    if (tensor !== undefined) made.set(node, tensor);
  }
  return tensor;
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

const utf8 = (text: string | Uint8Array): Uint8Array =>
  typeof text === 'string' ? new TextEncoder().encode(text) : text;

/** The tensor that the attribute of a Constant node says, but for `value`. */
function plainConstant(node: Node): Tensor | undefined {
  for (const [name, attribute] of node.attributes) {
    switch (attribute.kind) {
      case 'float':
        return name === 'value_float' ? Tensor.floats([attribute.value], []) : undefined;
      case 'floats':
        return name === 'value_floats' ? Tensor.floats(attribute.value) : undefined;
      case 'int':
        return name === 'value_int' ? Tensor.ints([attribute.value], []) : undefined;
      case 'ints':
        return name === 'value_ints' ? Tensor.ints(attribute.value) : undefined;
      case 'string':
        return name === 'value_string' ? strings([attribute.value], []) : undefined;
      case 'strings':
        return name === 'value_strings' ? strings(attribute.value) : undefined;
      case 'sparse':
        return name === 'sparse_value' ? densify(attribute.value) : undefined;
    }
  }
  return undefined;
}

function strings(texts: readonly (string | Uint8Array)[], shape: readonly number[] = [texts.length]): Tensor {
  return new Tensor('string', shape, { kind: 'strings', values: texts.map(utf8) });
}

/**
 * The dense form of a sparse constant: zero but for `values` at `indices`, which are flat positions ([n]) or one
 * coordinate row an element ([n, rank]). Undefined for strings, packed dtypes, and large shapes.
 */
function densify(sparse: SparseTensor): Tensor | undefined {
  const { values, indices, shape } = sparse;
  const count = elementCount(shape);
  if (count > DENSE || values.dtype === 'string' || values.byteLength % values.count !== 0) return undefined;
  const width = values.byteLength / values.count;
  const from = values.bytes();
  const at = indices.toNumbers();
  const dense = new Uint8Array(count * width);
  for (let i = 0; i < values.count; i++) {
    const position =
      indices.shape.length < 2
        ? at[i]!
        : shape.reduce((flat, size, axis) => flat * size + at[i * shape.length + axis]!, 0);
    if (!(position >= 0 && position < count)) return undefined;
    dense.set(from.subarray(i * width, (i + 1) * width), position * width);
  }
  return Tensor.of(values.dtype, shape, dense);
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
