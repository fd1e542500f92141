/** The loss on samples that are not trained on: the forward half of a step, with values as they are at the time. */
import { cloneModel } from '../ir/clone.js';
import { removeInput, removeNode, setGraphOutputs } from '../ir/edit.js';
import type { Model } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { openSession } from '../runtime/session.js';
import type { TrainingFeed } from './loop.js';
import type { TrainingStep } from './step.js';

/** A step without its way back. */
function forwardOf(step: TrainingStep): Model {
  const { model, values } = cloneModel(step.model);
  const { graph } = model;
  const loss = step.model.graph.outputs.find(({ name }) => name === step.loss)!;
  setGraphOutputs(graph, [values.get(loss)!]);
  for (const node of graph.nodesBackwards()) {
    if (node.outputs.every((output) => output.uses.length === 0 && !output.isOutput)) removeNode(node);
  }
  for (const input of [...graph.inputs]) if (input.uses.length === 0) removeInput(input);
  return model;
}

/**
 * Mean loss over feeds.
 * @param values what the step's slots hold, by input
 */
export async function heldOutLoss(
  step: TrainingStep,
  values: ReadonlyMap<string, Tensor>,
  feeds: Iterable<TrainingFeed> | AsyncIterable<TrainingFeed>,
  options: { readonly threads?: number } = {},
): Promise<number> {
  const model = forwardOf(step);
  const known = new Set(model.graph.inputs.map(({ name }) => name));
  const own = Object.fromEntries([...values].filter(([name]) => known.has(name)));
  const session = await openSession(model, options);
  try {
    let [sum, count] = [0, 0];
    for await (const feed of feeds) {
      const outputs = await session.run({ ...feed, ...own });
      sum += outputs[step.loss]!.toNumbers()[0]!;
      count += 1;
    }
    return sum / count;
  } finally {
    await session.release();
  }
}
