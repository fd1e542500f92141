/** Nodes that one kernel computes with weights in integers, what they read being quantized while the model runs. */
import {
  exclusionFact,
  lookUp,
  type Model,
  type Node,
  type PassContext,
  targetFact,
} from '../../src/index.js';

/**
 * Nodes of one kind, in every graph, that a dynamic row of the target takes. Of the others the ledger says why they stay
 * float. Each comes when those before it were dealt with.
 * @param isOne tells which nodes are of that kind
 */
export function* dynamicNodes(
  model: Model,
  context: PassContext,
  isOne: (node: Node) => boolean,
): IterableIterator<Node> {
  const { dynamicRows } = targetFact.get(context);
  const exclude = exclusionFact.find(context);
  for (const graph of model.graphs()) {
    for (const node of graph.nodes()) {
      if (!isOne(node)) continue;
      const excluded = exclude?.(node);
      const verdict =
        excluded === undefined ? lookUp(dynamicRows, node) : { row: undefined, reason: excluded };
      if (verdict.row !== undefined) {
        yield node;
        continue;
      }
      context.ledger.record(node, { precision: 'float', reason: verdict.reason });
      context.decline(verdict.reason, node);
    }
  }
}
