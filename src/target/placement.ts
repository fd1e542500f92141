/** Which values a plan quantizes, and with whose parameters. */
import type { Value } from '../ir/graph.js';
import type { Range } from './facts.js';
import type { NodePlan, Plan } from './plan.js';
import { roleOf } from './target.js';

/** How the parameters of a quantized value come about. */
export type Parameters =
  /** From the calibrated range of this value (itself, or the one whose bytes it carries on). */
  { readonly kind: 'range'; readonly of: Value } | ({ readonly kind: 'fixed' } & Range);

export interface Placement {
  /** Every computed value that gets a QuantizeLinear, in graph order, with its parameters. */
  readonly values: ReadonlyMap<Value, Parameters>;
  /** Plan of the kernel that gives a value quantized; such values are float to nobody. */
  readonly givers: ReadonlyMap<Value, NodePlan>;
}

/** Reads off a plan which values need QuantizeLinear/DequantizeLinear. */
export function placementOf(plan: Plan): Placement {
  const givers = new Map<Value, NodePlan>();
  for (const each of plan.nodes.values()) if (each.row.output !== 'float') givers.set(each.output, each);
  const values = new Map<Value, Parameters>();
  const resolve = (value: Value): Parameters => {
    const known = values.get(value);
    if (known) return known;
    const giver = givers.get(value);
    const rule = giver?.row.output;
    let parameters: Parameters = { kind: 'range', of: value };
    if (giver && rule === 'same') parameters = resolve(giver.node.inputs[0]!);
    else if (typeof rule === 'object') parameters = { kind: 'fixed', ...rule };
    values.set(value, parameters);
    return parameters;
  };
  for (const each of plan.nodes.values()) {
    each.node.inputs.forEach((input, index) => {
      if (input && !input.isConstant && roleOf(each.row, index) === 'activation') resolve(input);
    });
    if (each.row.output !== 'float') resolve(each.output);
  }
  return { values, givers };
}
