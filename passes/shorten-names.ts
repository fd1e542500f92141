/**
 * Names of values and nodes inside the graph mean nothing to an executor, and in a small quantized model they outweigh
 * the weights. The model's inputs, outputs and symbolic dimensions keep theirs.
 */
import { definePass, factKey, type Model, renameNode, renameValue, valuesOf } from '../src/index.js';

/** Original name of every node that was renamed, by its new name. */
export const originalNames = factKey<ReadonlyMap<string, string>>('original-names');

/** Names may take this share of the constants' bytes before they are shortened. */
const TOLERATED = 0.02;

export const shortenNames = definePass({
  name: 'shorten-names',
  doc: 'names inside the graph become short where they would take over 2 % of the file; the report keeps the old ones',
  run(model, context) {
    const { names, constants } = weigh(model);
    if (names <= TOLERATED * constants) return;
    const originals = new Map<string, string>();
    let values = 0;
    let nodes = 0;
    for (const graph of model.graphs()) {
      for (const value of valuesOf(graph)) {
        const signature = graph === model.graph && (value.isInput || value.isOutput);
        // Function bodies are bound by name from their calls; everything else is bound by identity.
        if (signature || value.isOmitted || model.functions.some((each) => each.body === graph)) continue;
        renameValue(value, (values++).toString(36));
      }
      for (const node of graph.nodes()) {
        const short = (nodes++).toString(36);
        originals.set(short, node.label);
        renameNode(node, short);
      }
    }
    originalNames.set(context, originals);
    context.changed(`${values} values and ${nodes} nodes`);
  },
});

function weigh(model: Model): { names: number; constants: number } {
  let names = 0;
  let constants = 0;
  for (const graph of model.graphs()) {
    for (const value of valuesOf(graph)) {
      names += value.name.length * (1 + value.uses.length);
      constants += value.constant?.byteLength ?? 0;
    }
    for (const node of graph.nodes()) names += node.name.length;
  }
  return { names, constants };
}
