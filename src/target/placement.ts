/** Which values a plan quantizes, and with whose parameters. */
import type { Value } from '../ir/graph.js';
import type { Range } from './facts.js';
import type { NodePlan, Plan } from './plan.js';
import { roleOf } from './target.js';

/** How the parameters of a quantized value come about. */
export type Parameters =
  /**
   * From the calibrated range of `of` (the value itself, or the one whose bytes it carries on), widened to hold those
   * of `beside` and `least`, where a kernel wants one set of parameters for several values.
   */
  | {
      readonly kind: 'range';
      readonly of: Value;
      readonly beside?: readonly Value[];
      readonly least?: Range;
    }
  | ({ readonly kind: 'fixed' } & Range);

export interface Placement {
  /** Every computed value that gets a QuantizeLinear, in graph order, with its parameters. */
  readonly values: ReadonlyMap<Value, Parameters>;
  /** Plan of the kernel that gives a value quantized; such values are float to nobody. */
  readonly givers: ReadonlyMap<Value, NodePlan>;
}

/** Values that parameters are taken from; none for fixed ones. */
export const sourcesOf = (parameters: Parameters): readonly Value[] =>
  parameters.kind === 'fixed' ? [] : [parameters.of, ...(parameters.beside ?? [])];

/** The range that parameters stand for, undefined where one of their sources has none. */
export function rangeOf(parameters: Parameters, ranges: ReadonlyMap<Value, Range>): Range | undefined {
  if (parameters.kind === 'fixed') return { min: parameters.min, max: parameters.max };
  const all = sourcesOf(parameters).map((value) => ranges.get(value));
  if (all.includes(undefined)) return undefined;
  const known = [...(all as Range[]), ...(parameters.least ? [parameters.least] : [])];
  return {
    min: known.reduce((least, { min }) => Math.min(least, min), Number.POSITIVE_INFINITY),
    max: known.reduce((most, { max }) => Math.max(most, max), Number.NEGATIVE_INFINITY),
  };
}

/** Reads off a plan which values need QuantizeLinear/DequantizeLinear. */
export function placementOf(plan: Plan): Placement {
  const givers = new Map<Value, NodePlan>();
  for (const each of plan.nodes.values())
    if (each.row.output !== 'float') for (const output of each.outputs) givers.set(output, each);
  const shared = new Sharing(givers);
  for (const each of plan.nodes.values()) if (each.row.output === 'shared') shared.tie(each);
  const values = new Map<Value, Parameters>();
  const place = (value: Value): void => {
    if (!values.has(value)) values.set(value, shared.parametersOf(value));
  };
  for (const each of plan.nodes.values()) {
    each.node.inputs.forEach((input, index) => {
      if (input && !input.isConstant && roleOf(each.row, index) === 'activation') place(input);
    });
    if (each.row.output !== 'float') each.outputs.forEach(place);
  }
  return { values, givers };
}

/** Values that must have the same parameters, since a kernel moves bytes from one to another, or wants it so. */
class Sharing {
  readonly #givers: ReadonlyMap<Value, NodePlan>;
  readonly #groups = new Map<Value, Set<Value>>();

  constructor(givers: ReadonlyMap<Value, NodePlan>) {
    this.#givers = givers;
  }

  /** The value whose bytes this one carries on. */
  #origin(value: Value): Value {
    const giver = this.#givers.get(value);
    return giver?.row.output === 'same' ? this.#origin(giver.node.inputs[0]!) : value;
  }

  tie({ node, row, outputs }: NodePlan): void {
    const inputs = node.inputs.filter(
      (input, index) => input && !input.isConstant && roleOf(row, index) === 'activation',
    ) as Value[];
    const group = new Set<Value>();
    for (const value of [...inputs, ...outputs]) {
      const origin = this.#origin(value);
      for (const member of this.#groups.get(origin) ?? [origin]) group.add(member);
    }
    for (const member of group) this.#groups.set(member, group);
  }

  parametersOf(value: Value): Parameters {
    const origin = this.#origin(value);
    const fixedOf = (member: Value): Range | undefined => {
      const rule = this.#givers.get(member)?.row.output;
      return typeof rule === 'object' ? rule : undefined;
    };
    const group = this.#groups.get(origin);
    if (group === undefined) {
      const fixed = fixedOf(origin);
      return fixed ? { kind: 'fixed', ...fixed } : { kind: 'range', of: origin };
    }
    const [first, ...rest] = [...group].filter((member) => fixedOf(member) === undefined);
    const fixed = [...group].map(fixedOf).filter((range) => range !== undefined);
    const least = fixed.length === 0 ? undefined : joined(fixed);
    // The output of a sharing kernel has no fixed range of its own, so that there is a first.
    return {
      kind: 'range',
      of: first!,
      ...(rest.length > 0 && { beside: rest }),
      ...(least && { least }),
    };
  }
}

const joined = (ranges: readonly Range[]): Range => ({
  min: Math.min(...ranges.map(({ min }) => min)),
  max: Math.max(...ranges.map(({ max }) => max)),
});
