/** What the integers of each node do to the outputs: with no others, and taken out of all of them. */
import type { NodePlan } from '../../src/index.js';
import { mixOf, unitsLeft } from './mix.js';
import type { Trials } from './trials.js';
import { type Unit, unitsOf } from './units.js';

export interface Sensitivity {
  readonly node: NodePlan;
  /** Noise of the outputs when this node alone computes in integers. */
  readonly alone: number;
  /** Noise when all planned nodes but this one do. */
  readonly without: number;
}

/**
 * Measures every planned node both ways.
 * @param onNode told after each node how many are done, of how many
 */
export async function sensitivities(
  trials: Trials,
  onNode: (done: number, of: number) => void = () => {},
): Promise<{ whole: number; float: number; nodes: Sensitivity[] }> {
  const { plan, model } = trials.bench;
  const units = unitsOf(plan);
  // Tells which feeds to measure on.
  await trials.noise(mixOf(model, plan, []));
  const nodes: Sensitivity[] = [];
  for (const node of plan.nodes.values()) {
    const own = units.filter(({ holders }) => holders.includes(node));
    const rest = new Map(plan.nodes);
    rest.delete(node.node);
    const others: readonly Unit[] = unitsLeft(
      { plan: { ...plan, nodes: rest }, precise: new Set([node.node]) },
      units,
    );
    nodes.push({ node, alone: await trials.unitNoise(own), without: await trials.unitNoise(others) });
    onNode(nodes.length, plan.nodes.size);
  }
  // Measured as the others are, so that differences are theirs alone.
  return { whole: await trials.unitNoise(units), float: await trials.unitNoise([]), nodes };
}
