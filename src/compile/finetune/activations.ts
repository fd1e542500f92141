/** Grids of activations in training: one for all values that share parameters, as the target's plan has them. */
import type { Model, Value } from '../../ir/graph.js';
import { Tensor } from '../../ir/tensor.js';
import { chooseAffine, type QuantizedType, typeBounds } from '../../quant/affine.js';
import type { Range } from '../../target/facts.js';
import { type Parameters, type Placement, rangeOf, sourcesOf } from '../../target/placement.js';
import type { NodePlan, Plan } from '../../target/plan.js';
import { roleOf } from '../../target/target.js';
import type { Pace } from '../../training/optimizer.js';
import type { ActivationSpec, GridValue } from '../../training/prepare.js';

/** A grid, and the values whose ranges it is made from: one, or those that a kernel wants on one grid. */
export interface StaticActivation extends ActivationSpec {
  readonly values: readonly GridValue[];
  readonly sources: readonly string[];
}

/** Scales of activations learn as those of weights do. */
const PACE: Pace = { rate: 0.1, relative: true };

/** One grid for all values whose parameters come from the same place. */
export function activationGrids(
  plan: Plan,
  { values, givers }: Placement,
  ranges: ReadonlyMap<Value, Range>,
): StaticActivation[] {
  const specs = new Map<string, StaticActivation & { readonly values: GridValue[] }>();
  for (const [value, parameters] of values) {
    const range = rangeOf(parameters, ranges);
    if (range === undefined) continue;
    const giver = givers.get(value);
    const type = typeOf(plan, giver, value);
    const sources = sourcesOf(parameters);
    const key = `${type.dtype}/${sources.map(({ name }) => name).join('/') || `${range.min}/${range.max}/${value.name}`}`;
    let spec = specs.get(key);
    if (spec === undefined) {
      spec = specOf(sources[0] ?? value, parameters, range, type);
      specs.set(key, spec);
    }
    const readers = giver ? undefined : readersOf(plan, value);
    spec.values.push({ name: value.name, ...(readers && { readers }) });
  }
  return [...specs.values()];
}

interface ActivationType {
  readonly dtype: QuantizedType;
  readonly symmetric: boolean;
}

/** 16 bits where the kernel that gives it does so, or all that read it do. */
function typeOf({ target, nodes }: Plan, giver: NodePlan | undefined, value: Value): ActivationType {
  const { activation } = target;
  const readers = value.uses.flatMap(({ node, index }) => {
    const plan = nodes.get(node);
    return plan && roleOf(plan.row, index) === 'activation'
      ? [plan.wide === true && !plan.row.eightBits?.includes(index)]
      : [];
  });
  const wide = giver ? giver.wide === true : readers.every(Boolean);
  const { dtype, symmetric } = (wide && activation.wide) || activation;
  return { dtype: dtype as QuantizedType, symmetric };
}

function specOf(
  source: Value,
  parameters: Parameters,
  range: Range,
  { dtype, symmetric }: ActivationType,
): StaticActivation & { readonly values: GridValue[] } {
  const { scale, zeroPoint } = chooseAffine(range, dtype, { symmetric });
  const { min: low, max: high } = typeBounds(dtype);
  const sources = sourcesOf(parameters);
  const constant = sources.some((each) => each.isConstant);
  const learns = parameters.kind === 'range' && parameters.least === undefined && !constant;
  const largestScale = learns ? largestWithin(source, low - zeroPoint, high - zeroPoint) : undefined;
  return {
    name: source.name,
    values: [],
    sources: sources.filter((each) => !each.isConstant).map((each) => each.name),
    grid: {
      ...{ low, high, scale: Tensor.scalar(scale) },
      ...(zeroPoint !== 0 && { zeroPoint: Tensor.scalar(zeroPoint, 'int32') }),
    },
    ...(learns && { scales: PACE }),
    ...(largestScale !== undefined && { largestScale: Math.max(scale, largestScale) }),
  };
}

/** A grid that reaches beyond where a Clip cuts would need the Clip; within it, quantizing cuts by itself. */
function largestWithin({ producer: clip }: Value, least: number, most: number): number | undefined {
  if (!clip?.is('Clip')) return undefined;
  const top = clip.inputs[2]?.constant?.toNumbers()[0];
  const bottom = clip.inputs[1]?.constant?.toNumbers()[0];
  const ends = [
    ...(top !== undefined && most > 0 ? [top / most] : []),
    ...(bottom !== undefined && least < 0 ? [bottom / least] : []),
  ].filter((each) => each > 0);
  return ends.length === 0 ? undefined : Math.fround(Math.min(...ends));
}

/** Outputs of the kernels that read a value quantized, which float nodes read as it is. */
function readersOf({ nodes }: Plan, value: Value): string[] {
  return value.uses.flatMap(({ node, index }) => {
    const plan = nodes.get(node);
    return plan && roleOf(plan.row, index) === 'activation' ? [node.outputs[0]!.name] : [];
  });
}

interface WithActivations {
  readonly activations: readonly StaticActivation[];
}

/**
 * The grids of the values that a student's first output depends on, by their names in it: training puts these there. What
 * only other outputs depend on keeps the grids of calibration.
 */
export function activationsOf({ activations }: WithActivations, student: Model): ActivationSpec[] {
  const reached = new Set<string>();
  const reach = (value: Value | undefined): void => {
    if (value === undefined || reached.has(value.name)) return;
    reached.add(value.name);
    value.producer?.inputs.forEach(reach);
  };
  reach(student.graph.outputs[0]);
  return activations.flatMap(({ sources: _, ...spec }) => {
    const values = spec.values.filter(({ name }) => reached.has(name));
    return values.length === 0 ? [] : [{ ...spec, values }];
  });
}

/** A grid in the manifest: what its integers are, and what they stand for, for each value that it is made from. */
export interface ActivationRow {
  readonly name: string;
  readonly low: number;
  readonly high: number;
  readonly scale: number;
  readonly zeroPoint: number;
}

/** @param scales as they were trained, by name of the value. */
export function activationRows(
  { activations }: WithActivations,
  scales: ReadonlyMap<string, Tensor>,
): ActivationRow[] {
  return activations.flatMap(({ name, sources, grid, largestScale = Number.POSITIVE_INFINITY }) => {
    const [trained] = (scales.get(name) ?? grid.scale).toNumbers() as [number];
    const zeroPoint = grid.zeroPoint?.toNumbers()[0] ?? 0;
    const scale = Math.min(trained, largestScale);
    return sources.map((each) => ({ name: each, low: grid.low, high: grid.high, scale, zeroPoint }));
  });
}
