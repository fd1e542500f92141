/**
 * Static int8 as training wants it: which values of a model the target's plan quantizes, on which grids. The plan is that
 * of `compile`, so that a student put on these grids computes what the compiled integers will.
 */
import { calibrateRanges } from '../../../passes/calibrate-ranges.js';
import { chooseRanges } from '../../../passes/choose-ranges.js';
import { clipWeights } from '../../../passes/clip-weights.js';
import { scalesOf } from '../../../passes/insert-qdq/scales.js';
import { insertQdq } from '../../../passes/insert-qdq.js';
import { keepFloat } from '../../../passes/keep-float.js';
import { planIntegerKernels } from '../../../passes/plan-integer-kernels.js';
import { roundWeights } from '../../../passes/round-weights.js';
import type { DataSet } from '../../calibration/dataset.js';
import { QuantcError } from '../../errors/error.js';
import type { Model, Value } from '../../ir/graph.js';
import { definePass } from '../../pipeline/pass.js';
import { runPipeline } from '../../pipeline/run.js';
import { type QuantizedType, usableBounds } from '../../quant/affine.js';
import { recipeFor, staticPrecisionFor } from '../../recipe.js';
import type { Precision } from '../../recipe-precisions.js';
import { createEngine } from '../../runtime/engine.js';
import { judgedByLikeness, planFact, rangesFact, targetFact } from '../../target/facts.js';
import { placementOf } from '../../target/placement.js';
import type { Plan } from '../../target/plan.js';
import { isProfile, profiled } from '../../target/profiled.js';
import { roleOf, type Target } from '../../target/target.js';
import { resolveRequested } from '../each-target.js';
import { DEFAULT_MEMORY } from '../pool.js';
import { observeRanges } from '../ranges.js';
import { sampleEngine } from '../sample-engine.js';
import { activationGrids, type StaticActivation } from './activations.js';
import { type FloatNames, floatNames, type RoundedStarts, roundedStartsOf } from './rounded.js';
import { canonicalCopy } from './trainable.js';

/** How the integer kernels that read a weight want it. */
export interface WeightForm {
  /** Largest magnitude of its integers. */
  readonly limit: number;
  /** Where its scales differ; absent: one for all. */
  readonly axis?: number;
}

export interface StaticGrids {
  readonly target: string;
  readonly precision: string;
  /** By name of the initializer. */
  readonly weights: ReadonlyMap<string, WeightForm>;
  /** Grids as calibration chose them, or as they are known without. */
  readonly activations: readonly StaticActivation[];
  /** Where weights and biases start, by name of the initializer; others from themselves. */
  readonly start: RoundedStarts;
}

export interface StaticOptions {
  /** Of weights. */
  readonly bits: number;
  /** Whether weights start as they are rounded together, or from themselves. */
  readonly round: boolean;
  readonly threads?: number;
  readonly signal?: AbortSignal;
}

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
  { bits, round, ...options }: StaticOptions,
): Promise<StaticGrids> {
  const [target, ...others] = resolveRequested([name]) as [Target, ...Target[]];
  const precision = staticPrecisionFor(target, model);
  if (others.length > 0 || !isStatic(precision)) {
    throw new QuantcError('E_FINETUNE_TARGET', `${name} is no one target that computes in static integers`, {
      kind: 'usage',
      hint: 'Name one target of the CPU, such as cpu-x64 or cpu-arm64, or one that takes graphs whole.',
    });
  }
  const copy = await canonicalCopy(model);
  const facts = new Map<string, unknown>();
  const few = bits < 8;
  const { weight } = target;
  const limited = few ? { ...weight, limit: Math.min(weight.limit, 2 ** (bits - 1) - 1) } : weight;
  targetFact.set({ facts }, { ...profiled(target, precision), weight: limited });
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
  let planned: Planned | undefined;
  const look = definePass({
    name: 'look-at-plan',
    doc: 'keeps what is planned and calibrated; edits nothing',
    run(at) {
      const plan = planFact.get({ facts });
      const activations = activationGrids(plan, placementOf(plan), rangesFact.get({ facts }));
      planned = { size: plan.nodes.size, weights: weightForms(plan), activations, names: floatNames(at) };
    },
  });
  const rounding = round ? [insertQdq, ...(few ? [clipWeights] : []), roundWeights] : [];
  const calibration = [keepFloat, planIntegerKernels, calibrateRanges, chooseRanges, look];
  await runPipeline(copy, [...adapt, ...calibration, ...rounding], { engine, facts });
  const { size, names, ...grids } = planned!;
  if (size === 0) {
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
    ...grids,
    start: round ? roundedStartsOf(copy, names) : { weights: new Map(), biases: new Map() },
  };
}

interface Planned extends Pick<StaticGrids, 'weights' | 'activations'> {
  readonly size: number;
  readonly names: FloatNames;
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
