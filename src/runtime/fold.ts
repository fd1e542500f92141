import type { Model, Node, Value } from '../ir/graph.js';
import { functionAround } from '../ir/scope.js';
import type { Tensor } from '../ir/tensor.js';
import { attempt } from './attempt.js';
import type { Origin } from './excerpt.js';
import { withSession } from './session.js';
import { canCross } from './tensor.js';

/** How the nodes of a graph are to be read: by the opsets of the function that holds them, or else of the model. */
export function originOf(model: Model, node: Node): Origin {
  const holder = functionAround(model, node.graph);
  return { opsets: holder?.opsets ?? model.opsets, functions: model.functions };
}

/**
 * Computes values from constants: the nodes, all of one root graph, are cut out and run once, with ONNX Runtime's
 * optimizer off and one thread, so that the answer is what the model itself would compute, on every machine the same.
 * Absent from the answer: values whose node ONNX Runtime cannot run, and those that cannot leave it (sequences, dtypes
 * of fewer than 8 bits, bfloat16, 8-bit floats).
 * @param nodes in topological order; what they read besides each other must be constant.
 */
export async function evaluate(
  model: Model,
  nodes: readonly Node[],
  wanted: readonly Value[],
): Promise<Map<Value, Tensor>> {
  const found = new Map<Value, Tensor>();
  if (nodes.length === 0) return found;
  const outputs = wanted.filter((value) => value.type === undefined || crosses(value));
  await attempt(originOf(model, nodes[0]!), { nodes, outputs }, async ({ model: part, names }) => {
    await withSession(part, { optimization: 'off', threads: 1 }, async (session) => {
      const tensors = session.outputs.filter((output) => output.type !== undefined);
      if (tensors.length === 0) return;
      const results = await session.run(
        {},
        tensors.map((output) => output.name),
      );
      for (const value of outputs) {
        const tensor = results[names.get(value) ?? ''];
        if (tensor !== undefined) found.set(value, tensor.with({ name: value.name }));
      }
    });
  });
  return found;
}

const crosses = (value: Value): boolean => value.type?.kind === 'tensor' && canCross(value.type.dtype);
