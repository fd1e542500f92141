/**
 * The same model in 32 bits: what a device without 16-bit arithmetic can still prove of a file that needs it. Constants
 * keep the values that 16 bits gave them; every node stays where it is and what it is.
 */
import { type Attribute, toAttribute } from '../ir/attribute.js';
import { setAttribute, setConstant, setType, valuesOf } from '../ir/edit.js';
import type { Model, Node } from '../ir/graph.js';
import { Tensor } from '../ir/tensor.js';

/** TensorProto.DataType of float16 and float. */
const [HALF, FLOAT] = [10, 1];

/** Turns every float16 of a model into float, in place: types, constants, and the attributes that name types. */
export function widenHalves(model: Model): void {
  for (const graph of model.graphs()) {
    for (const value of valuesOf(graph)) {
      const { type, constant } = value;
      if (constant?.dtype === 'float16' && value.producer === undefined)
        setConstant(value, widened(constant));
      else if (type?.kind === 'tensor' && type.dtype === 'float16')
        setType(value, { ...type, dtype: 'float' });
    }
    for (const node of graph.nodes()) widenAttributes(node);
  }
}

function widenAttributes(node: Node): void {
  for (const [name, attribute] of node.attributes) {
    const wide = widenedAttribute(name, attribute);
    if (wide !== undefined) setAttribute(node, name, wide);
  }
}

function widenedAttribute(name: string, attribute: Attribute): Attribute | undefined {
  if (attribute.kind === 'tensor' && attribute.value.dtype === 'float16')
    return toAttribute(widened(attribute.value));
  const namesType = name === 'to' || name === 'dtype' || name === 'output_dtype';
  return namesType && attribute.kind === 'int' && Number(attribute.value) === HALF
    ? toAttribute(FLOAT!)
    : undefined;
}

const widened = (tensor: Tensor): Tensor =>
  Tensor.derive('float', tensor.shape, [tensor], ([source]) => source!.toFloat32(), { name: tensor.name });
