import { definePass, type Node, renameNode } from '../src/index.js';

/**
 * A node without a name, or with one that an earlier node has → `<OpType>_<number>`, unique in the model.
 *
 * Names carry no meaning for the result. The record of decisions and the reports of accelerators tell nodes apart by
 * them. Numbers count each operator in file order, so that the same model always gets the same names.
 */
export const nameNodes = definePass({
  name: 'name-nodes',
  doc: 'node without a unique name → <OpType>_<number>; names carry no meaning',
  run(model, { changed }) {
    const taken = new Set<string>();
    const unnamed: Node[] = [];
    for (const graph of model.graphs()) {
      for (const node of graph.nodes()) {
        if (node.name === '' || taken.has(node.name)) unnamed.push(node);
        else taken.add(node.name);
      }
    }
    const next = new Map<string, number>();
    for (const node of unnamed) {
      let number = next.get(node.opType) ?? 0;
      while (taken.has(`${node.opType}_${number}`)) number++;
      next.set(node.opType, number + 1);
      const name = `${node.opType}_${number}`;
      taken.add(name);
      changed(`named ${name}`, node);
      renameNode(node, name);
    }
  },
});
