import type { Graph, Node } from './graph.js';
import { valuesRead } from './walk.js';

/** What is wrong with an order of nodes: a circle, each reading the next one's output, or one pair out of order. */
export interface Disorder {
  readonly closed: boolean;
  readonly nodes: readonly Node[];
}

/**
 * In a graph whose nodes are not in topological order: a circle of nodes, each of which reads what the next makes (the
 * last what the first makes), or where there is none a node and the later one that it reads.
 */
export function cycleIn(graph: Graph): Disorder {
  const done = new Set<Node>();
  let pair: Node[] = [];
  const seen = new Set<Node>();
  for (const root of graph.nodes()) {
    const path = [{ node: root, needs: valuesRead(root) }];
    const open = new Set([root]);
    while (path.length > 0 && !done.has(root)) {
      const top = path.at(-1)!;
      const step = top.needs.next();
      const need = step.done || step.value.graph !== graph ? undefined : step.value.producer;
      if (step.done) {
        open.delete(top.node);
        done.add(top.node);
        path.pop();
      } else if (need !== undefined && open.has(need)) {
        const nodes = path.map((each) => each.node);
        return { closed: true, nodes: nodes.slice(nodes.indexOf(need)) };
      } else if (need !== undefined && !done.has(need)) {
        if (pair.length === 0 && !seen.has(need)) pair = [top.node, need];
        open.add(need);
        path.push({ node: need, needs: valuesRead(need) });
      }
    }
    seen.add(root);
  }
  return { closed: false, nodes: pair };
}
