import {
  addConstant,
  constantOf,
  type Dim,
  definePass,
  type Graph,
  type Model,
  type Node,
  opsetOf,
  type PassContext,
  readsFunctionAttributes,
  setInput,
  setType,
  Tensor,
  type Value,
} from '../src/index.js';
import { type Element, ElementReader, NAMED } from './shape-targets/elements.js';

/**
 * `Reshape(x, computed)` → `Reshape(x, constant)` and `Expand(x, computed)` → `Expand(x, constant)`, where the graph
 * says enough about the computed target.
 *
 * A target is followed element by element through Shape, Gather, Slice, Concat, Cast, Mul, Equal, Where and their kind.
 * For Reshape, an element that is the size of x at the same place becomes 0 (copy); one other that is not known becomes
 * −1, which is what remains when the elements of x are counted; with more the target stays computed. For Expand, an
 * element that is the size of x at that place becomes 1. A size with a name is the same wherever the name stands. What
 * computed the target is then dead code. What is learnt of sizes on the way goes into the types.
 */
export const shapeTargets = definePass({
  name: 'shape-targets',
  doc: 'Reshape or Expand to a computed shape → to a constant one: 0 or 1 for sizes kept, −1 for the one that remains',
  needs: ['typed'],
  run(model, context) {
    const reader = new ElementReader();
    for (const graph of model.graphs()) {
      const opset = opsetOf(model, graph);
      let found = false;
      for (const node of graph.nodes()) {
        const [input, target] = node.inputs;
        const reshapes =
          opset >= 5 && (node.is('Reshape') || node.is('Expand')) && !readsFunctionAttributes(node);
        if (reshapes && input !== undefined && target !== undefined && constantOf(target) === undefined)
          found = resolve(model, node, input, target, reader, context) || found;
        reader.visit(node);
      }
      if (found) learn(graph, reader);
    }
  },
});

function resolve(
  model: Model,
  node: Node,
  input: Value,
  target: Value,
  reader: ElementReader,
  { changed, decline }: PassContext,
): boolean {
  const elements = reader.elements(target);
  const sizes = reader.sizes(input);
  if (elements === undefined || elements.scalar) {
    decline('the length of its target is not known', node);
    return false;
  }
  const constant = node.is('Reshape')
    ? reshapeTarget(elements.list, sizes ?? [], node.int('allowzero', 0) === 1)
    : sizes && expandTarget(elements.list, sizes);
  if (constant === undefined) {
    decline('too little is known of its target', node);
    return false;
  }
  changed(`target → [${constant}]`, node);
  const value = addConstant(model, node.graph, Tensor.ints(constant), `${node.outputs[0]!.name}_shape`);
  reader.know(value, elements);
  setInput(node, 1, value);
  return true;
}

function reshapeTarget(
  elements: readonly Element[],
  sizes: readonly Element[],
  zeroIsSize: boolean,
): number[] | undefined {
  const target = elements.map((element, axis) => {
    if (typeof element === 'number') return element;
    return !zeroIsSize && element !== undefined && element === sizes[axis] ? 0 : -1;
  });
  if (target.filter((size) => size === -1).length > 1 || target.some((size) => size < -1)) return undefined;
  // Beside a size of zero the remaining one cannot be counted.
  if (zeroIsSize && target.includes(0) && target.includes(-1)) return undefined;
  return target;
}

function expandTarget(elements: readonly Element[], sizes: readonly Element[]): number[] | undefined {
  const shift = elements.length - sizes.length;
  const target: number[] = [];
  for (const [axis, element] of elements.entries()) {
    if (typeof element === 'number') target.push(element);
    else if (element !== undefined && axis >= shift && element === sizes[axis - shift]) target.push(1);
    else return undefined;
  }
  return target;
}

/** Fills in open sizes of inner values. */
function learn(graph: Graph, reader: ElementReader): void {
  const leaving = new Set(graph.outputs);
  for (const node of graph.nodes()) {
    for (const output of node.outputs) {
      const { type } = output;
      if (
        output.isOmitted ||
        leaving.has(output) ||
        type?.kind !== 'tensor' ||
        type.shape?.includes(null) === false
      )
        continue;
      const sizes = reader.sizes(output);
      const shape = sizes?.map((size, axis): Dim => {
        const dim = type.shape?.[axis] ?? null;
        if (dim !== null || typeof size === 'number') return dim ?? (size as number);
        return size?.startsWith(NAMED) ? size.slice(NAMED.length) : null;
      });
      if (shape?.some((dim) => dim !== null)) setType(output, { ...type, shape });
    }
  }
}
