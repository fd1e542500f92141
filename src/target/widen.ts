/** Bits of activations and weights, node by node, once it is known which nodes a plan holds. */
import type { Node, Value } from '../ir/graph.js';
import type { NodePlan } from './plan.js';
import type { Target, TargetRow } from './target.js';

/**
 * 16 bits for the activations of those that were asked for, and of what moves their bytes on; 4 for weights beside
 * them. What a kernel does not take is said in its plan.
 * @param plans in graph order; changed in place, as are the givers of values
 */
export function widen(
  plans: Map<Node, NodePlan>,
  givers: Map<Value, NodePlan>,
  { activation: { wide, wantsWide }, weight: { wantsFour } }: Target,
): void {
  if (wantsWide === undefined) return;
  for (const plan of [...plans.values()]) {
    const { node, row } = plan;
    const before = row.output === 'same' ? givers.get(node.inputs[0]!) : undefined;
    const wants = before === undefined ? wantsWide(node) : (before.wideFor ?? before.wide === true);
    if (wants === false) continue;
    const takes = wide !== undefined && row.wide === true;
    const mark = takes
      ? ({ wide: true, ...(typeof wants === 'string' && { wideFor: wants }) } as const)
      : { narrow: `activations of 16 bits were asked for, but ${row.kernel} takes 8` };
    const marked = { ...plan, ...mark, ...(takes && weightBits(node, row, wantsFour)) };
    plans.set(node, marked);
    for (const output of plan.outputs) givers.set(output, marked);
  }
}

function weightBits(
  node: Node,
  { fourBits, sixteenBits }: TargetRow,
  wantsFour: ((node: Node) => boolean) | undefined,
): Pick<NodePlan, 'weightBits'> {
  if (sixteenBits?.(node) !== undefined) return { weightBits: 16 };
  return fourBits && wantsFour?.(node) ? { weightBits: 4 } : {};
}
