/**
 * The plan for an executor that takes graphs whole: every node that computes with floats is quantized, whatever it
 * costs, so that every float value between the graph's inputs and its outputs stands between QuantizeLinear and
 * DequantizeLinear. Nothing is weighed; what no row takes stays float, and is an island.
 */
import type { Graph, Node, Value } from '../ir/graph.js';
import { soleReader, startsAtZero } from './conditions.js';
import type { Exclusion, NodePlan, Plan } from './plan.js';
import { lookUp, roleOf, type Target, type TargetRow } from './target.js';
import { widen } from './widen.js';

/** @param exclude answers with a reason for a node that must stay float */
export function planWhole(graph: Graph, target: Target, exclude: Exclusion): Plan {
  const nodes = new Map<Node, NodePlan>();
  const declined = new Map<Node, string>();
  const givers = new Map<Value, NodePlan>();
  for (const node of graph.nodes()) {
    const excluded = exclude(node);
    const answer = excluded === undefined ? take(node, target) : excluded;
    if (typeof answer === 'string') {
      declined.set(node, answer);
      continue;
    }
    const tail = answer.output === 'own' ? tailOf(node, target, exclude) : undefined;
    const output = (tail ?? node).outputs[0]!;
    const outputs = answer.parts ? node.outputs.filter((each) => !each.isOmitted) : [output];
    const plan: NodePlan = { node, row: answer, output, outputs, ...(tail && { tail }) };
    nodes.set(node, plan);
    for (const each of outputs) givers.set(each, plan);
  }
  for (const { tail } of [...nodes.values()]) {
    if (!tail) continue;
    nodes.delete(tail);
    declined.delete(tail);
  }
  for (const plan of nodes.values()) for (const output of plan.outputs) givers.set(output, plan);
  widen(nodes, givers, target);
  return { target, nodes, declined };
}

/** The row that takes a node, or why none does. */
function take(node: Node, target: Target): TargetRow | string {
  const floats = [...node.inputs, ...node.outputs].some((value) => value?.dtype === 'float');
  if (!floats) return 'it computes without floats, and stays as it is';
  const { row, ...answer } = lookUp(target.rows, node);
  if (row === undefined) return 'reason' in answer ? answer.reason : `no row takes ${node.opType}`;
  const strange = node.inputs.find(
    (input, index) => input && roleOf(row, index) === 'activation' && input.dtype !== 'float',
  );
  return strange ? `${strange.name} is ${strange.dtype ?? 'of unknown type'}, not float` : row;
}

/** What the grid behind it makes redundant: an activation function that alone reads the output. */
function tailOf(node: Node, { absorbed }: Target, exclude: Exclusion): Node | undefined {
  const reader = soleReader(node);
  return reader && absorbed.includes(reader.opType) && startsAtZero(reader) && exclude(reader) === undefined
    ? reader
    : undefined;
}
