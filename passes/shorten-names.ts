/**
 * Names of values and nodes inside the graph mean nothing to an executor, and in a small quantized model they outweigh
 * the weights. The model's inputs, outputs and symbolic dimensions keep theirs.
 */
import {
  definePass,
  factKey,
  type Model,
  type Node,
  renameNode,
  renameValue,
  type Value,
  valuesOf,
} from '../src/index.js';

/** Original name of every node that lost it, by the name of its first output. */
export const originalNames = factKey<ReadonlyMap<string, string>>('original-names');

/** Names may take this share of the constants' bytes before they are shortened. */
const TOLERATED = 0.02;

export const shortenNames = definePass({
  name: 'shorten-names',
  doc: 'names of values become short and nodes lose theirs, where names would take over 2 % of the file; the report keeps the old ones',
  run(model, context) {
    const { names, constants } = weigh(model);
    if (names <= TOLERATED * constants) return;
    const values: Value[] = [];
    const nodes: [Node, string][] = [];
    for (const graph of model.graphs()) {
      // Function bodies are bound by name from their calls; everything else is bound by identity.
      const bound = model.functions.some((each) => each.body === graph);
      for (const value of valuesOf(graph)) {
        const signature = graph === model.graph && (value.isInput || value.isOutput);
        if (!signature && !bound && !value.isOmitted) values.push(value);
      }
      for (const node of graph.nodes()) {
        nodes.push([node, node.label]);
        renameNode(node, '');
      }
    }
    // The shortest names for those that are mentioned most.
    values.sort((a, b) => b.uses.length - a.uses.length);
    const taken = new Set(model.graph.inputs.concat(model.graph.outputs).map((value) => value.name));
    let next = 0;
    for (const value of values) {
      let name = shortName(next++);
      while (taken.has(name)) name = shortName(next++);
      renameValue(value, name);
    }
    originalNames.set(context, new Map(nodes.map(([node, name]) => [firstOutput(node), name])));
    context.changed(`${values.length} values and ${nodes.length} nodes`);
  },
});

const firstOutput = (node: Node): string => node.outputs.find((output) => !output.isOmitted)?.name ?? '';

const DIGITS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';

/** 0 → a, 61 → 9, 62 → aa …: every name of one character, then those of two. */
function shortName(index: number): string {
  const rest = Math.floor(index / DIGITS.length);
  return (rest === 0 ? '' : shortName(rest - 1)) + DIGITS[index % DIGITS.length];
}

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
