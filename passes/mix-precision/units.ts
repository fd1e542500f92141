/** The sources of error of a plan, each of which can be switched on by itself. */
import {
  type NodePlan,
  type Plan,
  placementOf,
  type Range,
  rangeOf,
  roleOf,
  type Value,
} from '../../src/index.js';

/** One source of error. It is gone once all of `holders` compute in float. */
export interface Unit {
  /** Name of the value or weight: the same in every run over the same model. */
  readonly name: string;
  /** The values that share one grid: the first is quantized, the others carry its bytes on. */
  readonly values: readonly Value[];
  /** A constant that kernels read as integers, and along which axis it has a scale each. */
  readonly weight?: { readonly value: Value; readonly axis: number | undefined };
  /** The planned nodes that give or read it quantized. */
  readonly holders: readonly NodePlan[];
}

/** Every source of error of the plan: values in graph order, then weights. */
export function unitsOf(plan: Plan): Unit[] {
  return [...valueUnits(plan), ...weightUnits(plan)];
}

function valueUnits(plan: Plan): Unit[] {
  const { values, givers } = placementOf(plan);
  const groups = new Map<Value, Value[]>();
  for (const value of values.keys()) {
    // What is only moved has the error that its source has, and no more.
    let root = value;
    for (let giver = givers.get(root); giver?.row.output === 'same'; giver = givers.get(root))
      root = giver.node.inputs[0]!;
    groups.set(root, [...(groups.get(root) ?? []), value]);
  }
  return [...groups].map(([root, members]) => {
    const holders = new Set<NodePlan>();
    for (const value of members) {
      const giver = givers.get(value);
      if (giver) holders.add(giver);
      for (const { node, index } of value.uses) {
        const reader = plan.nodes.get(node);
        if (reader && roleOf(reader.row, index) === 'activation') holders.add(reader);
      }
    }
    return {
      name: root.name,
      values: [root, ...members.filter((each) => each !== root)],
      holders: [...holders],
    };
  });
}

function weightUnits(plan: Plan): Unit[] {
  const units = new Map<Value, Map<number | undefined, NodePlan[]>>();
  for (const each of plan.nodes.values()) {
    each.node.inputs.forEach((value, index) => {
      if (!value?.isConstant || roleOf(each.row, index) !== 'weight') return;
      const axis = each.row.weightAxis?.(each.node, each.wide === true);
      if (!units.has(value)) units.set(value, new Map());
      const byAxis = units.get(value)!;
      byAxis.set(axis, [...(byAxis.get(axis) ?? []), each]);
    });
  }
  return [...units].flatMap(([value, byAxis]) =>
    [...byAxis].map(([axis, holders]) => {
      const name = byAxis.size === 1 ? value.name : `${value.name} along axis ${axis}`;
      return { name, values: [], weight: { value, axis }, holders };
    }),
  );
}

/** The range of every value that the plan quantizes: those that carry another's bytes on have its range. */
export function everyRange(plan: Plan, ranges: ReadonlyMap<Value, Range>): Map<Value, Range> {
  const all = new Map(ranges);
  for (const [value, parameters] of placementOf(plan).values) {
    const range = rangeOf(parameters, ranges);
    if (range) all.set(value, range);
  }
  return all;
}
