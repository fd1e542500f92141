/**
 *   DequantizeLinear(q, s)   becomes   DequantizeLinear(q, s, 0)
 * for targets of providers. The zero point means what its absence means; but ONNX Runtime (1.30) cannot put down for
 * later, in a file of its own format, how it would fuse a group one of whose DequantizeLinear has two inputs.
 */
import {
  addInitializer,
  definePass,
  dtypeFacts,
  elementCount,
  isDequantize,
  type Node,
  setInputs,
  Tensor,
  targetFact,
  type Value,
} from '../src/index.js';

export const completeQuantizers = definePass({
  name: 'complete-quantizers',
  doc: 'DequantizeLinear without a zero point → with one of 0, which ONNX Runtime wants in its own format',
  needs: ['typed'],
  run(model, context) {
    if (!targetFact.find(context)?.provider?.readsUnits) return context.decline('no provider reads units');
    const zeros = new Map<string, Value>();
    for (const node of model.graph.nodes()) {
      if (!isDequantize(node) || node.inputs[2] !== undefined) continue;
      const shape = scaleShape(node);
      const dtype = node.inputs[0]?.dtype;
      if (shape === undefined || dtype === undefined || dtypeFacts(dtype).bits < 8) continue;
      const key = `${dtype} ${shape}`;
      let zero = zeros.get(key);
      if (zero === undefined) {
        const bytes = (elementCount(shape) * dtypeFacts(dtype).bits) / 8;
        zero = addInitializer(model.graph, Tensor.of(dtype, shape, new Uint8Array(bytes)), 'no_zero_point');
        zeros.set(key, zero);
      }
      setInputs(node, [node.inputs[0], node.inputs[1], zero]);
      context.changed('zero point of 0', node);
    }
  },
});

/** The shape of the scale, which a zero point must have. */
function scaleShape(node: Node): readonly number[] | undefined {
  const shape = node.inputs[1]?.constant?.shape ?? node.inputs[1]?.shape;
  return shape?.every((dim): dim is number => typeof dim === 'number') ? shape : undefined;
}
