import { definePass, QuantcError, sortTopologically } from '../src/index.js';

/**
 * Nodes in file order → nodes in topological order; a node moves only behind what it reads.
 *
 * ONNX asks for this order, and every later pass walks the nodes in it. Order says nothing about what is computed.
 */
export const sortNodes = definePass({
  name: 'sort-nodes',
  doc: 'nodes in any order → each behind what it reads; a graph that is sorted stays as it is',
  run(model) {
    for (const graph of model.graphs()) {
      if (!sortTopologically(graph)) {
        throw new QuantcError('E_GRAPH_CYCLE', 'nodes of the graph read each other in a circle', {
          place: { graph: graph.name },
        });
      }
    }
  },
});
