/** What the format cannot hold, said with the node or value that wants it. */
import { QuantcError } from '../errors/error.js';
import { constantOf } from '../ir/constant.js';
import type { Node, Value } from '../ir/graph.js';
import { isStatic } from '../ir/type.js';

/** @throws QuantcError E_TFLITE_OP: a node that no operator of the format stands for */
export function refuse(node: Node, reason: string): never {
  const name = node.domain === '' ? node.opType : `${node.domain}:${node.opType}`;
  throw new QuantcError('E_TFLITE_OP', `${name} (${node.label}) cannot become a LiteRT operator: ${reason}`, {
    kind: 'input',
    place: { node: node.label },
    hint: 'docs/targets/npu-litert.md lists what is taken. Compile for another target, or change the model there.',
  });
}

/** Dimensions of a value. @throws QuantcError E_TFLITE_SHAPE where one is no number */
export function shapeOf(value: Value): readonly number[] {
  const shape = value.shape ?? constantOf(value)?.shape;
  if (isStatic(shape)) return shape;
  throw new QuantcError('E_TFLITE_SHAPE', `${value.name} has the shape ${shape ? `[${shape}]` : 'unknown'}`, {
    kind: 'input',
    place: { value: value.name },
    hint: 'LiteRT models have fixed shapes: give each open dimension a size with --dim name=size.',
  });
}
