/**
 * Recurrent layers whose executor has a kernel that quantizes what it reads while it runs:
 *   LSTM(X, W, R, …)  →  com.microsoft.DynamicQuantizeLSTM(X, Wᵀ_q, Rᵀ_q, …, s_W, z_W, s_R, z_R)
 * with one scale for each gate and unit, in each direction. States and everything else stay float, so that it needs no
 * calibration and serves static int8 as well. The weights turn: the kernel wants [directions, inputs, 4·units].
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
  Tensor,
  targetFact,
  type Value,
} from '../src/index.js';
import { dynamicNodes } from './quantized/dynamic-rows.js';

export const quantizeRecurrent = definePass({
  name: 'quantize-recurrent',
  doc: 'LSTM with constant weights → DynamicQuantizeLSTM: int8 weights, what it reads quantized while it runs',
  needs: ['typed'],
  run(model, context) {
    const target = targetFact.get(context);
    const weights = new Map<Value, Stored>();
    for (const node of dynamicNodes(model, context, (each) => each.is('LSTM'))) {
      rewrite(node, weights, target, context);
      model.opsets.set('com.microsoft', 1);
    }
  },
});

/** A quantized weight in the graph that its float one is in. */
interface Stored {
  readonly q: Value;
  readonly scale: Value;
  readonly zeroPoint: Value;
}

const KERNEL = 'DynamicQuantizeLSTM';

function rewrite(node: Node, weights: Map<Value, Stored>, target: Target, context: PassContext): void {
  const [x, w, r, ...rest] = node.inputs;
  const [input, recurrence] = [w!, r!].map((weight) => stored(weight, weights, target));
  // B, sequence_lens, initial_h, initial_c, P: as they are, where they are.
  const others = Array.from({ length: 5 }, (_, index) => rest[index]);
  const attributes = Object.fromEntries([...node.attributes].filter(([name]) => name !== 'layout'));
  const kernel = createNode(
    { before: node },
    {
      opType: KERNEL,
      domain: 'com.microsoft',
      name: node.name,
      inputs: [
        x,
        input!.q,
        recurrence!.q,
        ...others,
        input!.scale,
        input!.zeroPoint,
        recurrence!.scale,
        recurrence!.zeroPoint,
      ],
      attributes,
      outputs: node.outputs.map(({ name, type }) => ({ name, type })),
    },
  );
  const bytes = (values: readonly Value[]) =>
    values.reduce((sum, value) => sum + value.constant!.byteLength, 0);
  context.ledger.record(node, {
    precision: 'int8-dynamic',
    kernel: KERNEL,
    bytesBefore: bytes([w!, r!]),
    bytesAfter: bytes([input!.q, recurrence!.q]),
  });
  context.changed(KERNEL, node);
  replaceNode(node, kernel.outputs);
}

/** [directions, 4·units, inputs] in float → [directions, inputs, 4·units] in int8, a scale a direction, gate and unit. */
function stored(weight: Value, weights: Map<Value, Stored>, target: Target): Stored {
  let found = weights.get(weight);
  if (found === undefined) {
    const tensor = weight.constant!;
    const [directions, gates, inputs] = tensor.shape as [number, number, number];
    const { q, scale } = quantizedWeight(tensor.with({ shape: [directions * gates, inputs] }), {
      dtype: target.weight.dtype as QuantizedType,
      symmetric: true,
      clamp: target.weight.limit,
      granularity: 'axis',
      axis: 0,
    });
    const { dtype } = q;
    const turned = Tensor.derive(dtype, [directions, inputs, gates], [q], ([source]) => {
      const from = source!.data() as Int8Array;
      const to = new Int8Array(from.length);
      for (let d = 0, at = 0; d < directions; d++)
        for (let g = 0; g < gates; g++)
          for (let i = 0; i < inputs; i++) to[(d * inputs + i) * gates + g] = from[at++]!;
      return to;
    });
    const add = (part: Tensor, what: string) => addInitializer(weight.graph, part, `${weight.name}_${what}`);
    const zeros = Tensor.of(dtype, [directions, gates], new Int8Array(directions * gates));
    found = {
      q: add(turned, 'quantized'),
      scale: add(scale.with({ shape: [directions, gates] }), 'scale'),
      zeroPoint: add(zeros, 'zero_point'),
    };
    weights.set(weight, found);
  }
  return found;
}
