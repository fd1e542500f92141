/** For executors, or operators, without arithmetic in a dtype: weights are stored in it, and widened while the model loads. */
import {
  addInitializer,
  createNode,
  exclusionFact,
  type HalfType,
  largestMagnitude,
  type Model,
  type Node,
  narrowed,
  type PassContext,
  setInput,
  startOf,
  tensorType,
  type Value,
} from '../../src/index.js';

/** Smaller constants are not worth a node's description. */
const LEAST_BYTES = 4096;

/** Largest number of float16; bfloat16 reaches as far as float. */
const FLOAT16_MAX = 65504;

/**
 * W → Cast(W₁₆, to = float), which every ONNX Runtime computes once, when it loads the model.
 * @param reads which nodes read their weights so; default all
 */
export function storeNarrow(
  model: Model,
  dtype: HalfType,
  context: PassContext,
  reads: (node: Node) => boolean = () => true,
): void {
  const exclude = exclusionFact.find(context);
  for (const graph of model.graphs()) {
    for (const value of [...graph.initializers]) {
      const tensor = value.constant!;
      if (!value.isConstant || tensor.dtype !== 'float' || tensor.byteLength < LEAST_BYTES) continue;
      const readers = value.uses.filter(({ node }) => reads(node) && exclude?.(node) === undefined);
      if (readers.length === 0) continue;
      if (dtype === 'float16' && largestMagnitude(tensor) > FLOAT16_MAX) continue;
      const cast = createNode(startOf(graph), {
        opType: 'Cast',
        name: `${value.name}_cast`,
        inputs: [addInitializer(graph, narrowed(tensor, dtype), `${value.name}_${dtype}`)],
        attributes: { to: 1 },
        outputs: [{ name: `${value.name}_widened`, type: tensorType('float', tensor.shape) }],
      });
      context.ledger.record(cast, { precision: 'float', reason: 'folded while the model loads' });
      widen(readers, cast.outputs[0]!, tensor.byteLength, dtype, context);
    }
  }
}

function widen(
  readers: Value['uses'],
  widened: Value,
  bytes: number,
  dtype: HalfType,
  context: PassContext,
): void {
  for (const { node, index } of readers) {
    setInput(node, index, widened);
    context.changed(`${dtype} weight, widened at load`, node);
    const facts = { precision: `${dtype}-weights`, kernel: node.opType };
    context.ledger.record(node, { ...facts, bytesBefore: bytes, bytesAfter: bytes / 2 });
  }
}
