/** Arithmetic that 8 bits cannot hold, whatever the model: roots and quotients of sums of squares. */
import type { Node } from '../ir/graph.js';

/** From a sum of squares to its root: what scales, shifts, joins or shapes it. */
const BEFORE =
  /^(Add|Sub|Mul|Div|Max|Clip|Relu|Abs|ReduceMean|ReduceSum|Reshape|Squeeze|Unsqueeze|GlobalAveragePool)$/;
/** From the root on: what divides by it. */
const BEHIND = /^(Mul|Div|Reciprocal|Reshape|Squeeze|Unsqueeze|Add|Sub)$/;
const BACK = 8;
const ON = 4;

const isSquare = (node: Node): boolean =>
  node.is('Pow') || (node.is('Mul') && node.inputs[0] === node.inputs[1]);
const isRoot = (node: Node): boolean => node.is('Sqrt') || node.is('Reciprocal') || node.is('Log');

/**
 * The node computes a statistic that is divided by: between the squares and the root of a norm, or behind the root. A
 * variance as a difference of means is lost on a grid of 256 steps, and all that is divided by it.
 */
export function isStatistic(node: Node): boolean {
  if (isRoot(node)) return true;
  const [reading, read] = [isSquare(node) || BEFORE.test(node.opType), BEHIND.test(node.opType)];
  return (reading && reaches(node, BACK, readers)) || (read && reaches(node, ON, makers));
}

const readers = (node: Node): Node[] =>
  node.outputs[0]!.uses.map((use) => use.node).filter((each) => isRoot(each) || BEFORE.test(each.opType));

const makers = (node: Node): Node[] =>
  node.inputs
    .flatMap((input) => input?.producer ?? [])
    .filter((each) => each.is('Sqrt') || BEHIND.test(each.opType));

/** A root is among those that follow, in so many steps; what branches widely is none of this. */
function reaches(from: Node, steps: number, next: (node: Node) => Node[]): boolean {
  let reached = new Set([from]);
  for (let step = 0; step < steps && reached.size > 0 && reached.size < 16; step++) {
    const following = new Set([...reached].flatMap(next));
    for (const node of following) if (node.is('Sqrt')) return true;
    reached = following;
  }
  return false;
}
