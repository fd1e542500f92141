import { moveNode } from './edit-node.js';
import type { Graph, Node } from './graph.js';
import { valuesRead } from './walk.js';

/**
 * Puts the nodes of a graph into topological order. Stable: a node moves only behind what it reads, so a sorted graph
 * stays as it is. Returns false on a cycle, and then changes nothing.
 */
export function sortTopologically(graph: Graph): boolean {
  const state = new Map<Node, 'open' | 'placed'>();
  const order: Node[] = [];
  for (const root of graph.nodes()) {
    if (state.has(root)) continue;
    state.set(root, 'open');
    const stack = [{ node: root, needs: valuesRead(root) }];
    while (stack.length > 0) {
      const { node, needs } = stack.at(-1)!;
      let need: Node | undefined;
      for (let step = needs.next(); !step.done; step = needs.next()) {
        const producer = step.value.graph === graph ? step.value.producer : undefined;
        if (producer === undefined || state.get(producer) === 'placed') continue;
        if (state.get(producer) === 'open') return false;
        need = producer;
        break;
      }
      if (need !== undefined) {
        state.set(need, 'open');
        stack.push({ node: need, needs: valuesRead(need) });
      } else {
        state.set(node, 'placed');
        order.push(node);
        stack.pop();
      }
    }
  }
  let at = graph.first;
  let sorted = true;
  for (const node of order) {
    sorted &&= node === at;
    at = at?.next;
  }
  if (!sorted) for (const node of order) moveNode(node, { endOf: graph });
  return true;
}
