/** A plan with some of its nodes kept float, closed under the planner's own rules, and what it is predicted to cost. */
import {
  type MixStep,
  type Model,
  type Node,
  type Plan,
  placementOf,
  planSaving,
  planStatic,
  roleOf,
  type Value,
} from '../../src/index.js';
import type { Unit } from './units.js';

/** Nodes kept float together. */
export interface Step {
  readonly source: string;
  readonly nodes: ReadonlySet<Node>;
  readonly precise: ReadonlySet<Node>;
}

export interface Mix {
  readonly steps: readonly Step[];
  /** Nodes, float ones all, whose weights are not to be integers either. */
  readonly precise: ReadonlySet<Node>;
  readonly plan: Plan;
  /** Nanoseconds an inference that the plan saves, by the target's table. */
  readonly saving: number;
  /** Bytes of weights beyond those of the plan that keeps nothing. */
  readonly bytes: number;
}

/** Why a node that the target could take is not planned, where nothing else is known. */
const LEFT_OUT = 'kept float for the sake of the outputs';

/** The mix after these steps. Nodes outside of `base` never enter. */
export function mixOf(model: Model, base: Plan, steps: readonly Step[]): Mix {
  const kept = new Set(steps.flatMap(({ nodes }) => [...nodes]));
  const precise = new Set(steps.flatMap((step) => [...step.precise]));
  const tails = new Set([...base.nodes.values()].flatMap(({ tail }) => (tail ? [tail] : [])));
  const plan =
    kept.size === 0
      ? base
      : planStatic(model.graph, base.target, (node) => {
          if (kept.has(node)) return LEFT_OUT;
          return base.nodes.has(node) || tails.has(node) ? undefined : (base.declined.get(node) ?? LEFT_OUT);
        });
  return { steps, precise, plan, saving: planSaving(plan), bytes: extraBytes(precise) };
}

/** float16 in the place of int8: a byte more an element. */
function extraBytes(precise: ReadonlySet<Node>): number {
  const weights = new Set<Value>();
  for (const node of precise) for (const input of node.inputs) if (input?.isConstant) weights.add(input);
  return [...weights].reduce((sum, { constant }) => sum + constant!.count, 0);
}

/** What a plan would save with these nodes taken out of it and nothing else changed: quick, and near enough to rank by. */
export function savingWithout(plan: Plan, nodes: ReadonlySet<Node>): number {
  return planSaving({ ...plan, nodes: new Map([...plan.nodes].filter(([node]) => !nodes.has(node))) });
}

/** The sources of error that a mix still has. */
export function unitsLeft({ plan, precise }: Pick<Mix, 'plan' | 'precise'>, units: readonly Unit[]): Unit[] {
  const { values } = placementOf(plan);
  return units.filter(({ weight, values: members, holders }) =>
    weight ? holders.some(({ node }) => !precise.has(node)) : members.some((value) => values.has(value)),
  );
}

/**
 * What takes a source of error away. For a weight the step takes in, so that the executor does not quantize a product
 * between quantized values by itself, whoever reads what its readers give.
 */
export function stepAgainst(unit: Unit, base: Plan): Step {
  const { name: source, weight, holders } = unit;
  const nodes = new Set(holders.map(({ node }) => node));
  if (!weight) return { source, nodes, precise: new Set() };
  const precise = new Set(nodes);
  for (const { output, row } of holders) {
    if (row.output === 'float') continue;
    for (const { node, index } of output.uses) {
      const reader = base.nodes.get(node);
      if (reader && roleOf(reader.row, index) === 'activation') nodes.add(node);
    }
  }
  return { source, nodes, precise };
}

const labels = (nodes: ReadonlySet<Node>): string[] => [...nodes].map(({ label }) => label);

/** A step by the names of its nodes. */
export const namesOf = ({ source, nodes, precise }: Step): MixStep => ({
  source,
  nodes: labels(nodes),
  precise: labels(precise),
});

/** The step that these names stand for. */
export function stepNamed({ source, nodes, precise }: MixStep, model: Model): Step {
  const named = new Map([...model.graph.nodes()].map((node) => [node.label, node]));
  const found = (names: readonly string[]): Set<Node> =>
    new Set(names.flatMap((name) => named.get(name) ?? []));
  return { source, nodes: found(nodes), precise: found(precise) };
}
