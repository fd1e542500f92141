/**
 * √(a² + b²), as spectrograms have it. Squares take twice the range: on a grid of 16 bits all that is below 1/256 of the
 * largest magnitude is lost, and a logarithm behind shows it. Turning the vector instead needs no squares: with x ≥ y ≥ 0
 * its angle is within 45°; a turn by half of that, and the absolute value of y, halve the angle, and after three turns x
 * is the magnitude but for the cosine of at most 5.6°. Half of what that loses is made up for: the answer is within
 * 0.25 % of the exact one.
 */
import {
  addInitializer,
  createNode,
  definePass,
  type Graph,
  type Node,
  removeNode,
  renameNode,
  replaceAllUses,
  Tensor,
  type Value,
} from '../src/index.js';

const TURNS = [Math.PI / 8, Math.PI / 16, Math.PI / 32];
/** Between 1 and the cosine of the angle that is left, in equal parts. */
const MAKES_UP = 2 / (1 + Math.cos(TURNS.at(-1)!));

export const lowerMagnitudes = definePass({
  name: 'lower-magnitudes',
  doc: '√(a² + b²) → turns of (max(|a|, |b|), min(|a|, |b|)) until its angle is small: no squares, within 0.25 %',
  needs: ['typed'],
  run(model, { changed }) {
    for (const node of model.graph.nodes()) {
      const parts = node.is('Sqrt') ? partsOf(node) : undefined;
      if (parts === undefined) continue;
      changed('turned instead of squared', node);
      const [squared] = node.inputs;
      const magnitude = turned(model.graph, node, parts);
      replaceAllUses(node.outputs[0]!, magnitude);
      removeNode(node);
      dropDead(squared!.producer!);
    }
  },
});

/** a and b of √(a² + b²), of one shape. */
function partsOf(sqrt: Node): readonly [Value, Value] | undefined {
  const sum = sqrt.inputs[0]?.producer;
  if (!sum?.is('Add') || sum.outputs[0]!.isOutput) return undefined;
  const parts = sum.inputs.map((each) => each?.producer && rootOf(each.producer));
  const [a, b] = parts;
  if (!a || !b || a.dtype !== 'float' || a.shape === undefined || String(a.shape) !== String(b.shape))
    return undefined;
  return a.shape.every((dim) => typeof dim === 'number') ? [a, b] : undefined;
}

function rootOf(node: Node): Value | undefined {
  const [x, y] = node.inputs;
  if (node.is('Mul')) return x === y ? x : undefined;
  return node.is('Pow') && y?.constant?.count === 1 && y.constant.toNumbers()[0] === 2 ? x : undefined;
}

function turned(graph: Graph, before: Node, [a, b]: readonly [Value, Value]): Value {
  const make = (opType: string, ...inputs: readonly Value[]): Value => {
    const node = createNode({ before }, { opType, inputs, outputs: [{ type: a.type }] });
    renameNode(node, node.outputs[0]!.name);
    return node.outputs[0]!;
  };
  const times = (value: Value, factor: number): Value =>
    make('Mul', value, addInitializer(graph, Tensor.floats([factor], []), 'turn'));
  const [absA, absB] = [make('Abs', a), make('Abs', b)];
  let x = make('Max', absA, absB);
  let y = make('Min', absA, absB);
  TURNS.forEach((angle, at) => {
    const scale = at === TURNS.length - 1 ? MAKES_UP : 1;
    const [cos, sin] = [Math.cos(angle) * scale, Math.sin(angle) * scale];
    const along = make('Add', times(x, cos), times(y, sin));
    // The last turn asks for x alone.
    if (at < TURNS.length - 1) y = make('Abs', make('Sub', times(y, cos), times(x, sin)));
    x = along;
  });
  return x;
}

function dropDead(node: Node): void {
  if (node.outputs.some((output) => output.uses.length > 0 || output.isOutput)) return;
  const makers = node.inputs.flatMap((input) => input?.producer ?? []);
  removeNode(node);
  for (const maker of makers) dropDead(maker);
}
