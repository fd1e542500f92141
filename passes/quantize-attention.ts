/**
 * ONNX Runtime's own Attention, which multiplies its input with the weights of query, key and value at once:
 *   Attention(x, W, b, mask, past)  →  QAttention(x_q, W_q, b, s_x, s_W, mask, z_x, z_W, past)
 * with x quantized while the model runs (DynamicQuantizeLinear) and one scale for each column of W. What comes after that
 * product is float in both. Needs no calibration, and serves static int8 as well.
 */
import {
  addInitializer,
  createNode,
  definePass,
  type Node,
  type PassContext,
  type QuantizedType,
  quantizedWeight,
  replaceNode,
  type Target,
  type Tensor,
  targetFact,
  tensorType,
} from '../src/index.js';
import { dynamicNodes } from './quantized/dynamic-rows.js';

const MICROSOFT = 'com.microsoft';
const KERNEL = 'QAttention';

export const quantizeAttention = definePass({
  name: 'quantize-attention',
  doc: 'com.microsoft.Attention with constant weights → QAttention: int8 weights, its input quantized while it runs',
  needs: ['typed'],
  run(model, context) {
    const target = targetFact.get(context);
    for (const node of dynamicNodes(model, context, (each) => each.is('Attention', MICROSOFT)))
      rewrite(node, target, context);
  },
});

function rewrite(node: Node, target: Target, context: PassContext): void {
  const [x, weight, bias, mask, past] = node.inputs;
  const { graph } = node;
  const tensor = weight!.constant!;
  const { q, scale, zeroPoint } = quantizedWeight(tensor, {
    dtype: target.weight.dtype as QuantizedType,
    symmetric: true,
    clamp: target.weight.limit,
    granularity: 'axis',
    axis: 1,
  });
  const add = (part: Tensor, what: string) => addInitializer(graph, part, `${weight!.name}_${what}`);
  const quantize = createNode(
    { before: node },
    {
      opType: 'DynamicQuantizeLinear',
      name: `${node.outputs[0]!.name}_input_quantize`,
      inputs: [x],
      outputs: [
        { name: `${x!.name}_quantized`, type: tensorType('uint8', x!.shape) },
        { name: `${x!.name}_scale`, type: tensorType('float', []) },
        { name: `${x!.name}_zero_point`, type: tensorType('uint8', []) },
      ],
    },
  );
  const [xq, xs, xz] = quantize.outputs;
  const kernel = createNode(
    { before: node },
    {
      opType: KERNEL,
      domain: MICROSOFT,
      name: node.name,
      inputs: [
        xq,
        add(q, 'quantized'),
        bias,
        xs,
        add(scale, 'scale'),
        mask,
        xz,
        add(zeroPoint, 'zero_point'),
        past,
      ],
      attributes: Object.fromEntries(node.attributes),
      outputs: node.outputs.map(({ name, type }) => ({ name, type })),
    },
  );
  context.ledger.record(node, {
    precision: 'int8-dynamic',
    kernel: KERNEL,
    bytesBefore: tensor.byteLength,
    bytesAfter: q.byteLength,
  });
  context.changed(KERNEL, node);
  replaceNode(node, kernel.outputs);
}
