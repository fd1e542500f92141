import {
  addConstant,
  definePass,
  type Graph,
  type Model,
  type Node,
  opsetOf,
  type PassContext,
  removeNode,
  replaceAllUses,
  setAttribute,
  setInput,
  setInputs,
  setOperator,
  Tensor,
} from '../src/index.js';
import { compose, isIdentity, permutationOf } from './merge-transposes/permutation.js';
import { gainOf, moveRegion, regionBehind } from './merge-transposes/region.js';

/**
 * `Transpose<q>(Transpose<p>(x))` → `Transpose<p∘q>(x)`, also where nodes lie between that work in any order of axes.
 *
 * An elementwise f commutes with a Transpose, `f(Transpose(x)) = Transpose(f(x))`; so do Concat, Split, Softmax, Pad,
 * Slice, reductions and per-axis quantization once their axes are renamed, and broadcast constants once they are
 * transposed themselves. Nodes connected by values in one order form a region. Moved to the order before, its
 * Transposes of that order at the entrances go, inverse ones at the exits vanish, others merge; where a value comes
 * from elsewhere, or is read by others, one is added. It is moved only if the number of Transposes falls: this takes
 * the sandwiches out that exporters leave between channels-first and channels-last operators. At last, a Transpose
 * that moves only axes of length 1 becomes a Reshape.
 */
export const mergeTransposes = definePass({
  name: 'merge-transposes',
  doc: 'f(Transpose<p>(x)) then Transpose<q> → f(x) then Transpose<p∘q>, wherever fewer Transposes remain',
  needs: ['typed'],
  run(model, context) {
    for (const graph of model.graphs()) {
      const opset = opsetOf(model, graph);
      mergeChains(graph, context);
      while (moveRegions(model, graph, opset, context)) mergeChains(graph, context);
      if (opset >= 5) for (const node of graph.nodes()) asReshape(model, node, context);
    }
  },
});

/** Composes Transposes that follow each other, and drops those that come to nothing. */
function mergeChains(graph: Graph, { changed }: PassContext): void {
  for (const node of graph.nodes()) {
    const perm = permutationOf(node);
    if (perm === undefined) continue;
    const inner = node.inputs[0]!.producer;
    const first = inner?.graph === graph ? permutationOf(inner) : undefined;
    const whole = first === undefined ? perm : compose(first, perm);
    if (first !== undefined) {
      changed(`Transpose [${first}] and [${perm}] → [${whole}]`, node);
      setInput(node, 0, inner!.inputs[0]);
      setAttribute(node, 'perm', whole);
      if (inner!.outputs[0]!.uses.length === 0 && !inner!.outputs[0]!.isOutput) removeNode(inner!);
    }
    if (isIdentity(whole)) {
      changed('moves no axis: removed', node);
      replaceAllUses(node.outputs[0]!, node.inputs[0]!);
      removeNode(node);
    }
  }
}

/** Moves every region that gains by it. False when there is none; each move takes at least one Transpose away. */
function moveRegions(model: Model, graph: Graph, opset: number, context: PassContext): boolean {
  const weighed = new Set<Node>();
  let moved = false;
  for (const node of [...graph.nodes()]) {
    const perm = permutationOf(node);
    if (perm === undefined || !node.attached) continue;
    for (const spread of weighed.has(node) ? [false] : [true, false]) {
      const region = regionBehind(node, perm, opset, spread);
      if (spread) for (const entrance of region.entrances) weighed.add(entrance);
      const gain = gainOf(region);
      if (gain <= 0) continue;
      context.changed(`${region.roles.size} nodes moved before Transpose [${perm}]: ${gain} fewer`, node);
      moveRegion(model, region);
      moved = true;
      break;
    }
  }
  return moved;
}

/** Turns a Transpose that leaves all axes longer than 1 in order into the Reshape that it is. */
function asReshape(model: Model, node: Node, { changed }: PassContext): void {
  const perm = permutationOf(node);
  const shape = node.inputs[0]?.shape;
  if (perm === undefined || shape === undefined || perm.length !== shape.length || isIdentity(perm)) return;
  const long = perm.filter((axis) => shape[axis] !== 1);
  if (long.some((axis, index) => index > 0 && axis < long[index - 1]!)) return;
  let open = 0;
  const target = perm.map((axis, index) => {
    const size = shape[axis]!;
    if (typeof size === 'number' && size > 0) return size;
    if (axis === index && size !== 0) return 0;
    open += 1;
    return -1;
  });
  if (open > 1 || shape.includes(0)) return;
  changed(`Transpose [${perm}] moves only axes of length 1: Reshape to [${target}]`, node);
  const sizes = addConstant(model, node.graph, Tensor.ints(target), `${node.outputs[0]!.name}_shape`);
  setAttribute(node, 'perm', undefined);
  setOperator(node, 'Reshape');
  setInputs(node, [node.inputs[0], sizes]);
}
