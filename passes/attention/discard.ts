import { type Node, removeNode } from '../../src/index.js';

/** Removes a node that nobody reads any more, and those above it that only it read. */
export function discard(node: Node): void {
  const stack = [node];
  while (stack.length > 0) {
    const at = stack.pop()!;
    if (!at.attached || at.outputs.some((output) => output.uses.length > 0 || output.isOutput)) continue;
    const above = at.inputs.map((input) => input?.producer);
    removeNode(at);
    for (const each of above) if (each !== undefined && each.graph === at.graph) stack.push(each);
  }
}
