/** What the rewriter takes for a constant, in graphs with initializers and in function bodies, which have none. */
import type { Node, Value } from '../ir/graph.js';
import { Tensor } from '../ir/tensor.js';

const REAL = new Set<string>([
  'float',
  'double',
  'float16',
  'bfloat16',
  'int8',
  'int16',
  'int32',
  'int64',
  'uint8',
  'uint16',
  'uint32',
  'uint64',
]);

/** Tensors made of the plain attributes of Constant nodes, so that one node always answers with the same tensor. */
const made = new WeakMap<Node, Tensor>();

/** The constant behind a value: an initializer that nobody can override, or what a Constant node holds. */
export function constantOf(value: Value): Tensor | undefined {
  if (value.isConstant) return value.constant;
  const { producer } = value;
  if (!producer?.is('Constant')) return undefined;
  const known = producer.tensor('value') ?? made.get(producer);
  if (known !== undefined) return known;
  const fresh = plainConstant(producer);
  if (fresh !== undefined) made.set(producer, fresh);
  return fresh;
}

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

/** The number in a real constant of one element; undefined for other constants. */
export function realScalarOf(tensor: Tensor): number | undefined {
  return tensor.count === 1 && REAL.has(tensor.dtype) ? tensor.toNumbers()[0] : undefined;
}
