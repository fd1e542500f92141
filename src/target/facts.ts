import type { Model, Value } from '../ir/graph.js';
import type { HalfType } from '../ir/narrowed.js';
import { factKey } from '../pipeline/fact.js';
import type { WeightBits, WeightMethod } from '../quant/block-fit.js';
import type { Exclusion, Plan } from './plan.js';
import type { Target } from './target.js';

/** Smallest and largest value seen; both finite. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** The target that this compilation is for. */
export const targetFact = factKey<Target>('target');
/** What the user keeps out of quantization. */
export const exclusionFact = factKey<Exclusion>('exclusion');
/** Who takes each node of the main graph. */
export const planFact = factKey<Plan>('planned');
/** Range of every value that the plan quantizes with parameters of its own. */
export const rangesFact = factKey<ReadonlyMap<Value, Range>>('calibrated');
/** Further ranges of the same values that may be chosen instead, by the method that found them, in order of preference. */
export const rangeChoicesFact = factKey<ReadonlyMap<string, ReadonlyMap<Value, Range>>>('range-choices');
/** The grid that a value was put on, as the ends that its integers reach. */
export interface GridReach extends Range {
  readonly bits: number;
}
/** Grid of every activation that was quantized, by the value's name in the float model. */
export const activationGridsFact = factKey<Map<string, GridReach>>('activation-grids');
/** True where the model is judged by how alike its outputs are to the float model's, rather than by labels. */
export const judgedByLikeness = factKey<boolean>('judged-by-likeness');

/** The float model, canonical, before anything was quantized: what candidates are compared with. */
export const floatModelFact = factKey<Model>('float-model');

/** How weights of a product are rounded together over samples. */
export interface Rounding {
  /** What products before it became counts among what a product reads (GPTQ's true-sequential). Default false. */
  readonly sequential?: boolean;
  /** Added to the diagonal of the second moments, as a share of its mean. Default 0.01. */
  readonly damping?: number;
  /** Up or down is learnt for each weight (AdaRound), instead of one after the other (GPTQ). Default false. */
  readonly adaptive?: boolean;
}

/** How weights of few bits are made. */
export interface WeightChoice {
  readonly bits: WeightBits;
  /** Default: the target's first for these bits. */
  readonly blockSize?: number;
  /** Default `mse`. */
  readonly method?: WeightMethod;
  /**
   * Whether weights are rounded together, by what their errors add up to in products of calibration samples: `always`,
   * so that there must be samples; or where there are some. Default: each by itself.
   */
  readonly together?: 'always' | 'with-samples';
  /** How, where they are. */
  readonly rounding?: Rounding;
  /** Channels are scaled ahead, so that weights of large inputs lose less (AWQ). Needs samples. Default false. */
  readonly scaled?: boolean;
  /** Every weight gets bits of its own, as few as it bears; `bits` then are those of a weight that has none. */
  readonly mixed?: boolean;
  /** One zero point for all, the middle, which is not stored. Default false: each block has one of its own. */
  readonly symmetric?: boolean;
}

/** Arithmetic in 16 bits. */
export interface HalfChoice {
  readonly dtype: HalfType;
  /** Inputs and outputs of the model change their types, too. */
  readonly interfaces: boolean;
}

/** What the user wants of arithmetic in 16 bits. */
export const halfFact = factKey<HalfChoice>('half-choice');

/** What the user wants of weights of few bits. */
export const weightFact = factKey<WeightChoice>('weight-choice');
