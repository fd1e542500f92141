import {
  constantOf,
  definePass,
  functionAround,
  type Graph,
  inlineGraph,
  type Node,
  replaceNode,
} from '../src/index.js';

/**
 * `If(true)` → the nodes of its then-branch, in its place; `If(false)` → those of its else-branch.
 *
 * A constant condition takes the same branch in every run. A branch has no inputs: what it reads of the graphs around
 * it is in scope where the If stands. In the body of a local function, which holds no initializers, a branch that
 * brings some stays.
 */
export const inlineBranches = definePass({
  name: 'inline-branches',
  doc: 'If with a constant condition → the nodes of the branch that it takes',
  run(model, { changed, decline }) {
    for (const graph of model.graphs()) {
      for (const node of graph.nodes()) {
        if (!node.is('If')) continue;
        const taken = branchOf(node);
        if (taken === undefined) {
          decline('its condition is computed', node);
          continue;
        }
        const brings = taken.initializers.size + taken.sparse.size;
        if (brings > 0 && functionAround(model, graph) !== undefined) {
          decline('a function body cannot hold the constants of the branch', node);
          continue;
        }
        changed(`takes ${taken.name || 'its branch'} in every run`, node);
        const prefix = node.name === '' ? '' : `${node.name}/`;
        replaceNode(node, inlineGraph(taken, { before: node }, [], { prefix, types: true }));
      }
    }
  },
});

function branchOf(node: Node): Graph | undefined {
  const condition = constantOf(node.inputs[0]);
  if (condition?.dtype !== 'bool' || condition.count !== 1) return undefined;
  return node.subgraph(condition.data()[0] !== 0 ? 'then_branch' : 'else_branch');
}
