/** The form of ai.onnx alone: a DequantizeLinear in blocks (opset 21) in front of the product. */
import {
  addConstant,
  createNode,
  dequantizedBlocks,
  type Model,
  type PassContext,
  setInput,
  tensorType,
} from '../../src/index.js';
import { type Plan, precisionOf } from './plan.js';
import type { Product } from './products.js';

/** MatMul(A, W) → MatMul(A, DequantizeLinear(W_q, s, z)): the weight keeps its layout, blocks run along `axis`. */
export function insertDequantize(
  model: Model,
  { node, weight, tensor, axis }: Product,
  { choice, blockSize }: Plan,
  context: PassContext,
): void {
  const { bits, method = 'mse', symmetric = false } = choice;
  const { q, scale, zeroPoint } = dequantizedBlocks(tensor, { bits, blockSize, axis, symmetric, method });
  const { graph } = weight;
  const parts = [q, scale, ...(zeroPoint ? [zeroPoint] : [])];
  const names = [`q${bits}`, 'scale', 'zero_point'];
  const dequantize = createNode(
    { before: node },
    {
      opType: 'DequantizeLinear',
      name: `${node.label}_dequantize`,
      inputs: parts.map((part, at) => addConstant(model, graph, part, `${weight.name}_${names[at]}`)),
      attributes: { axis, block_size: blockSize },
      outputs: [{ name: `${weight.name}_dequantized`, type: tensorType(tensor.dtype, tensor.shape) }],
    },
  );
  setInput(node, 1, dequantize.outputs[0]!);
  context.changed(`DequantizeLinear of ${bits} bits in blocks`, node);
  context.ledger.record(node, {
    precision: precisionOf(bits),
    kernel: node.opType,
    bytesBefore: tensor.byteLength,
    bytesAfter: parts.reduce((sum, part) => sum + part.byteLength, 0),
  });
}
