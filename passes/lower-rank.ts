import {
  definePass,
  isStatic,
  type Model,
  type Node,
  opsetOf,
  readsFunctionAttributes,
  replaceNode,
  type Value,
} from '../src/index.js';
import { Emitter } from './algebra/emitter.js';

/** Axes that mobile accelerators know. */
const MOST = 5;

/**
 * `Transpose` of six and more axes → of five and fewer, between Reshapes.
 *
 * Axes of one are dropped, and axes that stay neighbours in their order become one; of pictures cut into tiles not more
 * than five remain. Where more do, the permutation is done in steps, each of which moves one axis past a block of
 * others: [before, block, axis, behind] → [before, axis, block, behind].
 */
export const lowerRank = definePass({
  name: 'lower-rank',
  doc: 'Transpose of more than five axes → Reshape, Transposes of five at most, Reshape',
  needs: ['typed'],
  run(model, { changed, decline }) {
    for (const graph of model.graphs()) {
      if (opsetOf(model, graph) < 5) continue;
      for (const node of graph.nodes()) {
        const shape = node.is('Transpose') ? node.inputs[0]?.shape : undefined;
        if (shape === undefined || shape.length <= MOST || readsFunctionAttributes(node)) continue;
        if (!isStatic(shape) || shape.includes(0)) {
          decline('its shape is not known', node);
          continue;
        }
        const perm = node.ints('perm') ?? shape.map((_, axis) => shape.length - 1 - axis);
        const merged = merge(shape, perm);
        changed(`${shape.length} axes → ${merged.sizes.length}`, node);
        transpose(model, node, shape, perm, merged);
      }
    }
  },
});

interface Merged {
  /** Sizes of the axes that are left, in the order of the input. */
  readonly sizes: readonly number[];
  /** The axis that comes at each place of the output. */
  readonly perm: readonly number[];
}

/** Drops axes of one, and joins those that stay neighbours. */
function merge(shape: readonly number[], perm: readonly number[]): Merged {
  const kept = perm.filter((axis) => shape[axis] !== 1);
  // Groups in the order of the output, each of neighbouring input axes (but for axes of one between them).
  const inputOrder = [...kept].sort((a, b) => a - b);
  const groups: number[][] = [];
  for (const axis of kept) {
    const last = groups.at(-1)?.at(-1);
    const follows = last !== undefined && inputOrder.indexOf(axis) === inputOrder.indexOf(last) + 1;
    if (follows) groups.at(-1)!.push(axis);
    else groups.push([axis]);
  }
  const ordered = [...groups].sort((a, b) => a[0]! - b[0]!);
  return {
    sizes: ordered.map((group) => group.reduce((product, axis) => product * shape[axis]!, 1)),
    perm: groups.map((group) => ordered.indexOf(group)),
  };
}

function transpose(
  model: Model,
  node: Node,
  shape: readonly number[],
  perm: readonly number[],
  merged: Merged,
): void {
  const emit = new Emitter(model, node);
  const product = (sizes: readonly number[]) => sizes.reduce((all, size) => all * size, 1);
  let value: Value = node.inputs[0]!;
  if (merged.sizes.length <= MOST) {
    if (merged.sizes.length > 1)
      value = emit.op('Transpose', [emit.op('Reshape', [value, emit.ints(merged.sizes)])], {
        perm: merged.perm,
      });
  } else {
    const order = merged.sizes.map((_, axis) => axis);
    for (const [place, axis] of merged.perm.entries()) {
      const at = order.indexOf(axis);
      if (at === place) continue;
      const sizes = order.map((each) => merged.sizes[each]!);
      const parts = [sizes.slice(0, place), sizes.slice(place, at), [sizes[at]!], sizes.slice(at + 1)].map(
        product,
      );
      value = emit.op('Transpose', [emit.op('Reshape', [value, emit.ints(parts)])], { perm: [0, 2, 1, 3] });
      order.splice(place, 0, ...order.splice(at, 1));
    }
  }
  replaceNode(node, [emit.op('Reshape', [value, emit.ints(perm.map((axis) => shape[axis]!))])]);
}
