import type { DType } from '../ir/dtype.js';
import type { Node } from '../ir/graph.js';

/** The type of the integers that a QuantizeLinear writes or a DequantizeLinear reads. */
export function zeroPointType(node: Node): DType | undefined {
  const stated = node.inputs[2]?.dtype;
  if (stated !== undefined) return stated;
  return node.opType === 'DequantizeLinear' ? node.inputs[0]?.dtype : (node.outputs[0]?.dtype ?? 'uint8');
}
