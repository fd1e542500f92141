/** What a whole plan is worth by the target's table. */
import type { Value } from '../ir/graph.js';
import { knownElements } from './conditions.js';
import { saving } from './cost.js';
import type { Plan } from './plan.js';
import { roleOf } from './target.js';

/**
 * Nanoseconds that one inference saves by the plan, against the float model: what its integer kernels save, less what
 * QuantizeLinear and DequantizeLinear take at the borders between them and float nodes. By the target's cost table, on
 * one thread.
 */
export function planSaving(plan: Plan): number {
  const { costs } = plan.target;
  let sum = 0;
  const given = new Set<Value>();
  const tails = new Set([...plan.nodes.values()].flatMap(({ tail }) => (tail ? [tail] : [])));
  for (const each of plan.nodes.values()) {
    sum += saving(each, costs);
    if (each.row.output !== 'float') for (const output of each.outputs) given.add(output);
  }
  const entering = new Set<Value>();
  for (const { node, row } of plan.nodes.values()) {
    node.inputs.forEach((value, index) => {
      if (value && !value.isConstant && roleOf(row, index) === 'activation' && !given.has(value))
        entering.add(value);
    });
  }
  const border = (value: Value, element: number): number => knownElements(value) * element + costs.node;
  for (const value of entering) sum -= border(value, costs.quantize);
  for (const value of given) {
    const readInFloat =
      value.isOutput || value.uses.some(({ node }) => !plan.nodes.has(node) && !tails.has(node));
    if (readInFloat) sum -= border(value, costs.dequantize);
  }
  return sum;
}
