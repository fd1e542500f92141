import {
  addConstant,
  axisFromFront,
  constantNumbers,
  type Dim,
  definePass,
  type Model,
  type Node,
  opsetOf,
  readsFunctionAttributes,
  removeNode,
  replaceAllUses,
  sameDim,
  sameShapeByCount,
  setAttribute,
  setInput,
  setInputs,
  setOperator,
  Tensor,
  type Value,
} from '../src/index.js';

const RESHAPES = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze']);
const isReshape = (node: Node | undefined): node is Node =>
  node?.domain === '' && RESHAPES.has(node.opType) && !readsFunctionAttributes(node);

/**
 * `g(f(x))` → one of them, for f and g among Reshape, Flatten, Squeeze and Unsqueeze.
 *
 * All of them keep the elements and their order, and change the shape alone: only the last shape matters. Where it is
 * that of x, x itself is the answer. Unsqueeze∘Unsqueeze and Squeeze∘Squeeze merge their axes. Else the answer is one
 * Reshape of x, if its target can be said without f: with at most one size left open (−1), and 0 (copy the size) only
 * where x has at that place what f's output has.
 */
export const mergeReshapes = definePass({
  name: 'merge-reshapes',
  doc: 'Reshape(Reshape(x)) → Reshape(x), Squeeze and Unsqueeze and Flatten likewise: the last shape alone matters',
  needs: ['typed'],
  run(model, { changed, decline }) {
    for (const graph of model.graphs()) {
      const opset = opsetOf(model, graph);
      // Before opset 5 the target of a Reshape was an attribute.
      if (opset < 5) continue;
      for (const node of graph.nodes()) {
        const inner = node.inputs[0]?.producer;
        if (!isReshape(node) || !isReshape(inner)) continue;
        const source = inner.inputs[0]!;
        if (undoes(node, inner, opset) || sameShapeByCount(source, node.outputs[0]!)) {
          changed(`${inner.opType} and ${node.opType} undo each other`, node);
          replaceAllUses(node.outputs[0]!, source);
          removeNode(node);
        } else if (mergeAxes(model, node, inner, opset)) {
          changed(`one ${node.opType} of all axes`, node);
        } else {
          const target = targetOf(node, source);
          if (target === undefined) {
            decline(`the shape after ${inner.opType} and ${node.opType} is not known well enough`, node);
            continue;
          }
          changed(`${inner.opType} and ${node.opType} → Reshape to [${target.sizes}]`, node);
          reshapeTo(model, node, source, target);
        }
      }
    }
  },
});

interface Target {
  readonly sizes: readonly number[];
  readonly allowzero: boolean;
}

/** The axes that a Squeeze or Unsqueeze names; undefined when they are computed, or none are named. */
function axesOf(node: Node, opset: number): number[] | undefined {
  return opset >= 13 ? constantNumbers(node.inputs[1]) : node.ints('axes');
}

/** `Squeeze(Unsqueeze(x, a), a)` and `Unsqueeze(Squeeze(x, a), a)`: what one adds the other takes away. */
function undoes(node: Node, inner: Node, opset: number): boolean {
  const kinds = `${inner.opType} ${node.opType}`;
  if (kinds !== 'Squeeze Unsqueeze' && kinds !== 'Unsqueeze Squeeze') return false;
  const [a, b] = [axesOf(inner, opset), axesOf(node, opset)];
  if (a === undefined || b === undefined || a.length !== b.length) return false;
  // Negative axes count from the larger rank in both, so that they may be compared as they are, if all are alike.
  if ([...a, ...b].some((axis) => axis < 0) && [...a, ...b].some((axis) => axis >= 0)) return false;
  const sorted = [...b].sort((x, y) => x - y);
  return [...a].sort((x, y) => x - y).every((axis, index) => axis === sorted[index]);
}

/** Merges the axes of `Unsqueeze∘Unsqueeze` or `Squeeze∘Squeeze` into the outer node. */
function mergeAxes(model: Model, node: Node, inner: Node, opset: number): boolean {
  if (node.opType !== inner.opType || (node.opType !== 'Unsqueeze' && node.opType !== 'Squeeze'))
    return false;
  const widerRank = (each: Node): number | undefined =>
    (each.opType === 'Unsqueeze' ? each.outputs[0]! : each.inputs[0]!).shape?.length;
  const front = (each: Node): (number | undefined)[] | undefined =>
    axesOf(each, opset)?.map((axis) => axisFromFront(axis, widerRank(each)));
  const [a, b] = [front(inner), front(node)];
  if (a === undefined || b === undefined || a.includes(undefined) || b.includes(undefined)) return false;
  // The axes that the node nearer to the smaller shape names are moved up by those that the other one puts before them.
  const [near, far] = node.opType === 'Unsqueeze' ? [a, b] : [b, a];
  const taken = (far as number[]).slice().sort((x, y) => x - y);
  const moved = (near as number[]).map((axis) =>
    taken.reduce((at, other) => (other <= at ? at + 1 : at), axis),
  );
  const axes = [...taken, ...moved].sort((x, y) => x - y);
  const source = inner.inputs[0]!;
  if (opset >= 13) setInputs(node, [source, addConstant(model, node.graph, Tensor.ints(axes), 'axes')]);
  else {
    setInputs(node, [source]);
    setAttribute(node, 'axes', axes);
  }
  return true;
}

/** What a Reshape of `source` must be told so that it gives what `node` gives. */
function targetOf(node: Node, source: Value): Target | undefined {
  const asked = node.opType === 'Reshape' ? constantNumbers(node.inputs[1]) : undefined;
  if (asked === undefined) return node.opType === 'Reshape' ? undefined : fromShape(node.outputs[0]!.shape);
  if (node.int('allowzero', 0) === 1 && asked.includes(0)) return { sizes: asked, allowzero: true };
  const between = node.inputs[0]!.shape;
  const sizes: number[] = [];
  for (const [axis, size] of asked.entries()) {
    const copied = between?.[axis];
    if (size !== 0 || sameDim(copied, source.shape?.[axis])) sizes.push(size);
    else if (typeof copied === 'number' && copied > 0) sizes.push(copied);
    else return fromShape(node.outputs[0]!.shape);
  }
  return { sizes, allowzero: false };
}

/** A shape as a target, at most one of its sizes open. */
function fromShape(shape: readonly Dim[] | undefined): Target | undefined {
  const sizes = shape?.map((dim) => (typeof dim === 'number' && dim > 0 ? dim : -1));
  if (sizes === undefined || shape!.includes(0) || sizes.filter((size) => size === -1).length > 1)
    return undefined;
  return { sizes, allowzero: false };
}

function reshapeTo(model: Model, node: Node, source: Value, { sizes, allowzero }: Target): void {
  const asked = node.opType === 'Reshape' ? constantNumbers(node.inputs[1]) : undefined;
  if (asked?.length === sizes.length && asked.every((size, axis) => size === sizes[axis])) {
    setInput(node, 0, source);
    return;
  }
  for (const name of [...node.attributes.keys()]) setAttribute(node, name, undefined);
  if (allowzero) setAttribute(node, 'allowzero', 1);
  const shape = addConstant(model, node.graph, Tensor.ints(sizes), `${node.outputs[0]!.name}_shape`);
  setOperator(node, 'Reshape');
  setInputs(node, [source, shape]);
}
