/** What `--precision auto` means: the table of docs/which-method.md, with the reason for each answer. */
import { QuantcError } from './errors/error.js';
import type { Model } from './ir/graph.js';
import { type KindFacts, kindOf, type ModelKind } from './recipe-kind.js';
import { PRECISIONS, type Precision } from './recipe-precisions.js';
import { cacheInputs } from './runtime/first-run.js';
import { isProfile, profileFor } from './target/profiled.js';
import type { Target } from './target/target.js';

type Decided = Exclude<Precision, 'auto'>;

/** What a precision was decided by. */
export interface PrecisionChoice {
  readonly precision: Decided;
  /** Why `auto` is this one; absent where it was asked for by name. */
  readonly because?: string;
}

/** What `auto` looks at beside target and model. */
export interface Circumstances {
  /** There are calibration data. */
  readonly calibrated: boolean;
  /** The model was trained on grids that lie beside it: of its weights alone, in 4 bits or fewer, or of activations too. */
  readonly trained?: 'weights' | 'activations' | undefined;
  /** Something is asked for that only static integers have: a budget to search a mix for, ranges, algorithms. */
  readonly mixes?: boolean;
  /** Something is asked for that only weights in blocks have: their size, how they are rounded, no zero points. */
  readonly blocks?: boolean;
  /** A decoder gets a cache of keys and values, if it came without. */
  readonly kvCache?: boolean | undefined;
}

/** Those that need integer kernels for activations, which executors beside the CPU lack. */
const INTEGER: readonly Precision[] = ['int8', 'int8-dynamic'];

/**
 * Weights of products from which a decoder that reads token by token gets 4 bits on the CPU. Between the two that were
 * measured: with 0.26 million 4 bits cost 6 % of perplexity, with 3.4 million nothing that could be told.
 */
export const FOUR_BITS_FROM = 1 << 20;

const KIND_TEXT: Readonly<Record<ModelKind, string>> = {
  convolutional: 'a convolutional network',
  'language-model': 'a language model',
  transformer: 'a transformer',
  recurrent: 'a recurrent network',
  plain: 'a network of products',
};

/**
 * The precision that was asked for, or what `auto` means for a target.
 * @param model as it was read
 * @throws QuantcError E_PRECISION_TARGET for a precision that the target has no kernels for
 */
export function precisionFor(
  wanted: Precision,
  target: Target,
  model: Model,
  circumstances: Circumstances,
): PrecisionChoice {
  const there = precisionsOf(target);
  if (!there.includes(wanted)) {
    throw new QuantcError('E_PRECISION_TARGET', `${target.name} has no kernels for ${wanted}`, {
      kind: 'usage',
      hint: `Choose one of ${there.join(', ')}.`,
    });
  }
  return wanted === 'auto' ? automatic(target, model, circumstances) : { precision: wanted };
}

/** The static integers of a target, which ranges are calibrated for: `int8`, or a profile. Float where it has none. */
export function staticPrecisionFor(target: Target, model: Model): Decided {
  if (target.precisions) return target.precisions[0] as Decided;
  if (target.whole) return profileFor(model);
  return target.executor ? 'float' : 'int8';
}

/** What a target has kernels for. */
function precisionsOf({ whole, executor, precisions }: Target): readonly Precision[] {
  if (precisions) return ['auto', ...(precisions as readonly Precision[])];
  if (whole) return ['auto', ...whole, 'float'];
  return PRECISIONS.filter((each) => !isProfile(each) && !(executor && INTEGER.includes(each)));
}

function automatic(target: Target, model: Model, circumstances: Circumstances): PrecisionChoice {
  if (target.precisions) return ofList(target.precisions as readonly Decided[], target, circumstances);
  if (target.whole) return ofProfiles(model);
  const facts = kindOf(model);
  const { kind } = facts;
  if (circumstances.trained === 'weights' && kind !== 'convolutional')
    return { precision: 'int4', because: 'its weights were trained on grids of few bits' };
  if (circumstances.blocks)
    return { precision: 'int4', because: 'what was asked for only weights in blocks have' };
  if (target.executor) return beside(kind, target, circumstances.calibrated);
  const ports = model.graph.inputs.filter(({ constant }) => constant === undefined);
  const stepwise = circumstances.kvCache || cacheInputs(ports).length > 0;
  return onCpu(facts, stepwise, circumstances);
}

/** The first that a target names, or the one after it where the first wants data and there are none. */
function ofList(
  [first, second = first]: readonly Decided[],
  { name }: Target,
  { calibrated, trained }: Circumstances,
): PrecisionChoice {
  if (first === 'int8' && !calibrated && trained !== 'activations')
    return { precision: second!, because: `there are no calibration data for the integers of ${name}` };
  return { precision: first!, because: `${name} is best served by it` };
}

/** Where two computed tensors are multiplied, 8 bits of activations lose too much. */
function ofProfiles(model: Model): PrecisionChoice {
  const precision = profileFor(model);
  const because =
    precision === 'a8w8'
      ? 'it multiplies no two computed tensors: 8 bits of activations do'
      : 'it multiplies computed tensors, as attention does, which wants activations of 16 bits';
  return { precision, because };
}

/** Executors that multiply by weights of few bits, and have no integers for activations. */
function beside(kind: ModelKind, { name }: Target, calibrated: boolean): PrecisionChoice {
  if (kind === 'convolutional' && calibrated) {
    return {
      precision: 'int8-weights',
      because: `it is ${KIND_TEXT[kind]}, and no convolution of ${name} reads 4 bits, while weights of 8 are rounded together over the data`,
    };
  }
  return {
    precision: 'int4',
    because: `it is ${KIND_TEXT[kind]}, and ${name} multiplies by weights of 4 bits with float activations`,
  };
}

function onCpu(
  { kind, productWeights }: KindFacts,
  stepwise: boolean,
  { calibrated, trained, mixes }: Circumstances,
): PrecisionChoice {
  if (trained === 'activations')
    return { precision: 'int8', because: 'it was trained on grids of activations' };
  if (kind === 'language-model' && stepwise && !mixes && productWeights >= FOUR_BITS_FROM) {
    const millions = Math.round(productWeights / 1e6);
    return {
      precision: 'int4',
      because: `it reads token by token, and its ${millions} million weights bear 4 bits in blocks, which are read faster`,
    };
  }
  if (calibrated) return { precision: 'int8', because: `there are data for ranges, and ${WITH_DATA[kind]}` };
  return {
    precision: 'int8-dynamic',
    because: `there are no data for ranges (--calib), and ${WITHOUT[kind]}`,
  };
}

/** What data are good for, by kind. */
const WITH_DATA: Readonly<Record<ModelKind, string>> = {
  convolutional: 'static integers are the only ones that convolutions are faster in',
  'language-model':
    'static integers lose no more than dynamic ones in the language models that were measured',
  transformer: 'static integers lose no more than dynamic ones in the transformers that were measured',
  recurrent:
    'products have static integers, while recurrent operators find their ranges as they run all the same',
  plain: 'static integers need no search for ranges at every product',
};

/** What becomes of a model without data, by kind. */
const WITHOUT: Readonly<Record<ModelKind, string>> = {
  convolutional: 'convolutions compute in float with weights of 8 bits',
  'language-model': 'products find them as they run',
  transformer: 'products find them as they run',
  recurrent: 'products and LSTMs find them as they run',
  plain: 'products find them as they run',
};
