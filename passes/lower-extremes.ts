import { createNode, definePass, replaceNode, tensorType, type Value } from '../src/index.js';

/** `Max(a, b, c)` → `Max(Max(a, b), c)`, and Min: both are associative, bit for bit; broadcasting goes pairwise. */
export const lowerExtremes = definePass({
  name: 'lower-extremes',
  doc: 'Max, Min of many → of two, one after the other; of one → itself',
  needs: ['typed'],
  run(model, { changed }) {
    for (const graph of model.graphs()) {
      for (const node of graph.nodes()) {
        if (!node.is('Max') && !node.is('Min')) continue;
        const inputs = node.inputs.filter((input) => input !== undefined);
        const [first, ...others] = inputs;
        if (first === undefined || inputs.length === 2) continue;
        changed(`${node.opType} of ${inputs.length}`, node);
        const { name, dtype } = node.outputs[0]!;
        const step = (opType: string, ...read: Value[]): Value =>
          createNode(
            { before: node },
            { opType, inputs: read, outputs: [{ name, ...(dtype && { type: tensorType(dtype) }) }] },
          ).outputs[0]!;
        const last = others.reduce((sofar, other) => step(node.opType, sofar, other), first);
        replaceNode(node, [others.length > 0 ? last : step('Identity', first)]);
      }
    }
  },
});
