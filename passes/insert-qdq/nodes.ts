import {
  createNode,
  type Node,
  type NodePosition,
  type NodeSpec,
  renameNode,
  tensorType,
  type Value,
} from '../../src/index.js';
import type { Scales } from './scales.js';

/** A node named for its output: no two values share a name, and ONNX Runtime refuses nodes that do. */
export function named(position: NodePosition, spec: NodeSpec): Node {
  const node = createNode(position, spec);
  renameNode(node, node.outputs[0]!.name);
  return node;
}

/**
 * The floats behind stored integers.
 * @param inputs integers, scale, and perhaps zero point
 */
export function dequantized(
  reader: Node,
  name: string,
  inputs: readonly Value[],
  { axis, blockSize }: Scales = {},
): Value {
  const [q, scale] = inputs;
  const node = named(
    { before: reader },
    {
      opType: 'DequantizeLinear',
      inputs,
      // 1 is the operator's default; a per-tensor scale has no axis.
      attributes: {
        axis: axis === 1 || scale!.shape?.length === 0 ? undefined : axis,
        block_size: blockSize,
      },
      outputs: [{ name: `${name || 'constant'}_dequantized`, type: tensorType('float', q!.shape) }],
    },
  );
  return node.outputs[0]!;
}
