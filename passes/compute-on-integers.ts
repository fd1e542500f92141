/**
 *   x → DequantizeLinear → Op → QuantizeLinear → y   becomes   x → Op → y
 * for operators that pick among numbers, and so pick the same among integers on one grid: where the target's provider
 * takes them on integers, and leaves them between Q and DQ (NNAPI's MaxPool).
 */
import {
  definePass,
  isDequantize,
  isQuantize,
  type Node,
  removeNode,
  replaceAllUses,
  scalarQuantization,
  setInput,
  setType,
  targetFact,
  tensorType,
  type Value,
} from '../src/index.js';

export const computeOnIntegers = definePass({
  name: 'compute-on-integers',
  doc: 'DequantizeLinear → MaxPool → QuantizeLinear on one grid → MaxPool of integers, where a provider takes no other',
  needs: ['typed'],
  run(model, context) {
    const ops = targetFact.find(context)?.onIntegers ?? [];
    if (ops.length === 0) return context.decline('the target asks for none');
    for (const graph of model.graphs()) {
      for (const node of graph.nodes()) {
        if (node.domain !== '' || !ops.includes(node.opType)) continue;
        const around = onOneGrid(node);
        if (around === undefined) continue;
        const [output] = node.outputs;
        setInput(node, 0, around.integers);
        setType(output!, tensorType(around.integers.dtype!, output!.shape));
        replaceAllUses(around.quantize.outputs[0]!, output!);
        removeNode(around.quantize);
        if (around.dequantize.outputs[0]!.uses.length === 0 && !around.dequantize.outputs[0]!.isOutput)
          removeNode(around.dequantize);
        context.changed('computes on integers', node);
      }
    }
  },
});

/** What stands around a node where its integers before and behind mean the same numbers, and nothing else reads it. */
function onOneGrid(
  node: Node,
): { readonly integers: Value; readonly dequantize: Node; readonly quantize: Node } | undefined {
  const dequantize = node.inputs[0]?.producer;
  const [output] = node.outputs;
  const quantize = output?.uses[0]?.node;
  if (!isDequantize(dequantize) || !isQuantize(quantize)) return undefined;
  if (output!.uses.length !== 1 || output!.isOutput || node.outputs.length > 1) return undefined;
  const integers = dequantize.inputs[0];
  const [before, after] = [scalarQuantization(dequantize), scalarQuantization(quantize)];
  if (integers?.dtype === undefined || before === undefined || after === undefined) return undefined;
  const same = before.scale === after.scale && before.zeroPoint === after.zeroPoint;
  const alike = integers.dtype === quantize.outputs[0]!.dtype;
  return same && alike && before.scale > 0 ? { integers, dequantize, quantize } : undefined;
}
