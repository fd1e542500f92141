/** What belongs to a graph, and what a node reads. */
import type { Graph, Node, Value } from './graph.js';

/** Every value that a node reads: its inputs, and what its subgraphs capture from outside. */
export function* valuesRead(node: Node): IterableIterator<Value> {
  for (const input of node.inputs) if (input !== undefined) yield input;
  for (const inner of node.subgraphs) {
    for (const graph of inner.withSubgraphs()) {
      for (const each of graph.nodes()) for (const input of each.inputs) if (input !== undefined) yield input;
      yield* graph.outputs;
    }
  }
}

/** Every value that belongs to a graph: inputs, initializers, and the outputs of its nodes. */
export function* valuesOf(graph: Graph): IterableIterator<Value> {
  yield* graph.inputs;
  // A set, because old files give every initializer as an input too, and a hostile one gives a million.
  const inputs = new Set(graph.inputs);
  for (const value of graph.initializers) if (!inputs.has(value)) yield value;
  for (const value of graph.sparse.keys()) if (!inputs.has(value)) yield value;
  for (const node of graph.nodes()) for (const output of node.outputs) if (!output.isOmitted) yield output;
}
