/**
 *   Flatten(x)  →  Reshape(x, [rows, columns])
 * for executors that know Reshape alone. The shape is constant: all sizes are numbers, or one is left for Reshape to find.
 */
import {
  addConstant,
  axisFromFront,
  createNode,
  type Dim,
  definePass,
  elementCount,
  isStatic,
  type Node,
  replaceNode,
  Tensor,
} from '../src/index.js';

export const lowerFlatten = definePass({
  name: 'lower-flatten',
  doc: 'Flatten → Reshape to a constant shape',
  needs: ['typed'],
  run(model, context) {
    for (const graph of model.graphs()) {
      for (const node of graph.nodes()) {
        if (!node.is('Flatten')) continue;
        const shape = flattened(node);
        if (shape === undefined) {
          context.decline('its sizes are not known', node);
          continue;
        }
        const reshape = createNode(
          { before: node },
          {
            opType: 'Reshape',
            name: node.name,
            inputs: [node.inputs[0], addConstant(model, graph, Tensor.ints(shape), 'flat_shape')],
            outputs: [{ name: node.outputs[0]!.name, type: node.outputs[0]!.type }],
          },
        );
        replaceNode(node, reshape.outputs);
        context.changed('Reshape', reshape);
      }
    }
  },
});

/** Two sizes, of which one may be −1; undefined where that does not say enough, or a size may be 0. */
function flattened(node: Node): number[] | undefined {
  const shape = node.inputs[0]?.shape;
  const rank = shape?.length;
  if (shape === undefined || rank === undefined) return undefined;
  const asked = node.int('axis', 1);
  const axis = asked === rank ? rank : axisFromFront(asked, rank);
  if (axis === undefined) return undefined;
  const sizes = [shape.slice(0, axis), shape.slice(axis)].map(countOf);
  if (sizes.includes(0) || sizes.every((size) => size === -1)) return undefined;
  return sizes;
}

const countOf = (dims: readonly Dim[]): number => (isStatic(dims) ? elementCount(dims) : -1);
