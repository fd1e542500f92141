/**
 * Static int8 as training wants it: which values of a model the target's plan quantizes, on which grids. The plan is that
 * of `compile`, so that a student put on these grids computes what the compiled integers will.
 */
import { calibrateRanges } from '../../passes/calibrate-ranges.js';
import { chooseRanges } from '../../passes/choose-ranges.js';
import { scalesOf } from '../../passes/insert-qdq/scales.js';
import { planIntegerKernels } from '../../passes/plan-integer-kernels.js';
import type { DataSet } from '../calibration/dataset.js';
import { QuantcError } from '../errors/error.js';
import type { Model, Value } from '../ir/graph.js';
import { Tensor } from '../ir/tensor.js';
import { runPipeline } from '../pipeline/run.js';
import { chooseAffine, type QuantizedType, typeBounds, usableBounds } from '../quant/affine.js';
import { precisionFor, recipeFor } from '../recipe.js';
import type { Precision } from '../recipe-precisions.js';
import { createEngine } from '../runtime/engine.js';
import { judgedByLikeness, planFact, type Range, rangesFact, targetFact } from '../target/facts.js';
import { type Parameters, type Placement, placementOf, rangeOf, sourcesOf } from '../target/placement.js';
import type { NodePlan, Plan } from '../target/plan.js';
import { isProfile, profiled } from '../target/profiled.js';
import { roleOf, type Target } from '../target/target.js';
import type { Pace } from '../training/optimizer.js';
import type { ActivationSpec, GridValue } from '../training/prepare.js';
import { resolveRequested } from './each-target.js';
import { DEFAULT_MEMORY } from './pool.js';
import { observeRanges } from './ranges.js';

import { sampleEngine } from './sample-engine.js';
import { canonicalCopy } from './trainable.js';

/** How the integer kernels that read a weight want it. */
export interface WeightForm {
  /** Largest magnitude of its integers. */
  readonly limit: number;
  /** Where its scales differ; absent: one for all. */
  readonly axis?: number;
}

/** A grid, and the values whose ranges it is made from: one, or those that a kernel wants on one grid. */
export interface StaticActivation extends ActivationSpec {
  readonly values: readonly GridValue[];
  readonly sources: readonly string[];
}

export interface StaticGrids {
  readonly target: string;
  readonly precision: string;
  /** By name of the initializer. */
  readonly weights: ReadonlyMap<string, WeightForm>;
  /** Grids as calibration chose them, or as they are known without. */
  readonly activations: readonly StaticActivation[];
}

/** Scales of activations learn as those of weights do. */
const PACE: Pace = { rate: 0.1, relative: true };

/**
 * Plans a model for a target and calibrates it.
 * @param model as it was read
 * @param name of one target, or an alias that stands for one
 * @throws QuantcError E_FINETUNE_TARGET for a target without static integers, or several; E_FINETUNE_STATIC where it would
 * compute nothing of the model in integers; errors of calibration
 */
export async function staticGrids(
  model: Model,
  name: string,
  data: DataSet,
  options: { readonly threads?: number; readonly signal?: AbortSignal } = {},
): Promise<StaticGrids> {
  const [target, ...others] = resolveRequested([name]) as [Target, ...Target[]];
  const precision = precisionFor('auto', target, true, model);
  if (others.length > 0 || !isStatic(precision)) {
    throw new QuantcError('E_FINETUNE_TARGET', `${name} is no one target that computes in static integers`, {
      kind: 'usage',
      hint: 'Name one target of the CPU, such as cpu-x64 or cpu-arm64, or one that takes graphs whole.',
    });
  }
  const copy = await canonicalCopy(model);
  const facts = new Map<string, unknown>();
  targetFact.set({ facts }, profiled(target, precision));
  judgedByLikeness.set({ facts }, data.metric === 'sqnr');
  const calibrating = { maxMemory: DEFAULT_MEMORY / 4, ...options };
  const engine = {
    ...createEngine(),
    observe: (at: Model, values: readonly Value[]) => observeRanges(at, values, data, calibrating),
    ...sampleEngine(data, {
      byLikeness: false,
      roomy: true,
      maxBytes: DEFAULT_MEMORY / 8,
      signal: options.signal,
    }),
  };
  const { fusions, lowerings } = target;
  const { adapt } = recipeFor(precision, ['none'], {
    ...(fusions && { fusions }),
    lowerings,
    beside: target.executor !== undefined,
  });
  const passes = [...adapt, planIntegerKernels, calibrateRanges, chooseRanges];
  await runPipeline(copy, passes, { engine, facts });
  const plan = planFact.get({ facts });
  if (plan.nodes.size === 0) {
    throw new QuantcError(
      'E_FINETUNE_STATIC',
      `${target.name} would compute nothing of the model in integers`,
      {
        hint: 'Train its weights alone, without --static; `quantc explain` says why nothing is taken.',
      },
    );
  }
  return {
    target: target.name,
    precision,
    weights: weightForms(plan),
    activations: activationGrids(plan, placementOf(plan), rangesFact.get({ facts })),
  };
}

const isStatic = (precision: Precision): boolean => precision === 'int8' || isProfile(precision);

/** Weights that integer kernels of 8 bits read, all of them alike. */
function weightForms(plan: Plan): Map<string, WeightForm> {
  const forms = new Map<string, WeightForm>();
  const { dtype, limit } = plan.target.weight;
  for (const each of plan.nodes.values()) {
    each.node.inputs.forEach((input, index) => {
      if (!input?.isConstant || roleOf(each.row, index) !== 'weight') return;
      const { axis, blockSize } = scalesOf(each);
      const plain = blockSize === undefined && each.weightBits !== 16 && each.row.weightType === undefined;
      const most = usableBounds(dtype as QuantizedType, { symmetric: true, clamp: limit }).max;
      if (plain && dtype === 'int8')
        forms.set(input.name, { limit: most, ...(axis !== undefined && { axis }) });
    });
  }
  return forms;
}

/** One grid for all values whose parameters come from the same place. */
function activationGrids(
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

/**
 * The grids of the values that a student's first output depends on, by their names in it: training puts these there. What
 * only other outputs depend on keeps the grids of calibration.
 */
export function activationsOf(
  { activations }: Pick<StaticGrids, 'activations'>,
  student: Model,
): ActivationSpec[] {
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
  { activations }: Pick<StaticGrids, 'activations'>,
  scales: ReadonlyMap<string, Tensor>,
): ActivationRow[] {
  return activations.flatMap(({ name, sources, grid, largestScale = Number.POSITIVE_INFINITY }) => {
    const [trained] = (scales.get(name) ?? grid.scale).toNumbers() as [number];
    const zeroPoint = grid.zeroPoint?.toNumbers()[0] ?? 0;
    const scale = Math.min(trained, largestScale);
    return sources.map((each) => ({ name: each, low: grid.low, high: grid.high, scale, zeroPoint }));
  });
}
