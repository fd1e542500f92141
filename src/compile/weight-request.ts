/** What a user asks of weights of few bits and of 16-bit floats, and what the passes are told of it. */
import { QuantcError } from '../errors/error.js';
import type { HalfType } from '../ir/narrowed.js';
import { WEIGHT_METHODS, type WeightBits } from '../quant/block-fit.js';
import type { Precision } from '../recipe.js';
import { type HalfChoice, halfFact, type WeightChoice, weightFact } from '../target/facts.js';

/**
 * Ways to find scales, zero points and integers: those of a block by itself; `gptq` and `adaround`, which round the
 * weights of a product together over calibration samples, scales fitted as with `mse`; `gptq-sequential`, where what
 * products before it became counts among what a product reads; and `awq`, `mse` after channels were scaled over samples.
 */
export const WEIGHT_WAYS = [...WEIGHT_METHODS, 'gptq', 'gptq-sequential', 'adaround', 'awq'] as const;
export type WeightWay = (typeof WEIGHT_WAYS)[number];

export interface WeightRequest {
  /** Elements that share a scale; default: what the target takes first for these bits. */
  readonly blockSize?: number;
  /** How weights in blocks are made; default `gptq` where there are calibration data, else `mse`. */
  readonly weightMethod?: WeightWay;
  /**
   * Rounding over samples: added to the diagonal of the inputs' second moments, as a share of its mean; the more, the
   * nearer to rounding one by one. Default 0.01.
   */
  readonly damping?: number;
  /** No zero points: the middle integer stands for 0 in every block. Default false. */
  readonly symmetricWeights?: boolean;
  /** Weights in blocks, and int8-weights: what stays float is computed in float16. Default false. */
  readonly half?: boolean;
  /** 16-bit arithmetic: inputs and outputs of the model change their types, too. Default false. */
  readonly halfInterfaces?: boolean;
}

/** Bits of a weight's element by precision; other precisions have no weights in blocks. */
const BITS: Readonly<Partial<Record<Precision, WeightBits>>> = {
  int2: 2,
  int4: 4,
  'int8-blocks': 8,
  'auto-weights': 4,
};

/** Whether something is asked for that only weights in blocks have. */
export const asksForBlocks = ({
  blockSize,
  weightMethod,
  symmetricWeights,
  damping,
}: WeightRequest): boolean =>
  [blockSize, weightMethod, symmetricWeights, damping].some((each) => each !== undefined);

/** @throws QuantcError E_WEIGHT_OPTIONS when a precision without blocks is given options of theirs */
export function weightChoiceFor(
  precision: Precision,
  { blockSize, weightMethod, symmetricWeights, damping }: WeightRequest,
): WeightChoice | undefined {
  const bits = BITS[precision];
  if (bits !== undefined) {
    return {
      ...{ bits, blockSize, symmetric: symmetricWeights },
      ...(precision === 'auto-weights' && { mixed: true }),
      ...(weightMethod === undefined && { together: 'with-samples' }),
      ...wayOf(weightMethod, damping),
    };
  }
  if (!asksForBlocks({ blockSize, weightMethod, symmetricWeights, damping })) return undefined;
  throw new QuantcError('E_WEIGHT_OPTIONS', `${precision} has no weights in blocks`, {
    kind: 'usage',
    hint: `Block size, method and symmetry are for ${Object.keys(BITS).join(', ')}.`,
  });
}

function wayOf(way: WeightWay | undefined, damping: number | undefined): Partial<WeightChoice> {
  const damped = damping === undefined ? {} : { damping };
  switch (way) {
    case undefined:
      return damping === undefined ? {} : { rounding: damped };
    case 'gptq':
      return { together: 'always', rounding: damped };
    case 'gptq-sequential':
      return { together: 'always', rounding: { ...damped, sequential: true } };
    case 'adaround':
      return { together: 'always', rounding: { ...damped, adaptive: true } };
    case 'awq':
      return { method: 'mse', scaled: true };
    default:
      return { method: way };
  }
}

const HALVES: Readonly<Partial<Record<Precision, HalfType>>> = { fp16: 'float16', bf16: 'bfloat16' };

/** @throws QuantcError E_HALF_OPTIONS when another precision is given options of 16-bit arithmetic */
export function halfChoiceFor(
  precision: Precision,
  { half, halfInterfaces }: WeightRequest,
): HalfChoice | undefined {
  // Weights alone are stored small, so that what is computed may have 16 bits.
  const beside = BITS[precision] !== undefined || precision === 'int8-weights';
  const dtype = HALVES[precision] ?? (half && beside ? 'float16' : undefined);
  if (dtype !== undefined) return { dtype, interfaces: halfInterfaces ?? false };
  if (halfInterfaces === undefined && (half === undefined || beside)) return undefined;
  throw new QuantcError('E_HALF_OPTIONS', `${precision} has no arithmetic in 16 bits`, {
    kind: 'usage',
    hint: `Choose ${Object.keys(HALVES).join(' or ')}, or --half with int8-weights, ${Object.keys(BITS).join(', ')}.`,
  });
}

/** Tells the passes what was asked for. Errors as {@link weightChoiceFor} and {@link halfChoiceFor}. */
export function tellWeights(facts: Map<string, unknown>, precision: Precision, request: WeightRequest): void {
  const weights = weightChoiceFor(precision, request);
  if (weights !== undefined) weightFact.set({ facts }, weights);
  const half = halfChoiceFor(precision, request);
  if (half !== undefined) halfFact.set({ facts }, half);
}

/** @throws QuantcError E_WEIGHT_METHOD listing those there are */
export function parseWeightMethod(name: string): WeightWay {
  if ((WEIGHT_WAYS as readonly string[]).includes(name)) return name as WeightWay;
  throw new QuantcError('E_WEIGHT_METHOD', `there is no way "${name}" to quantize weights`, {
    kind: 'usage',
    hint: `Ways: ${WEIGHT_WAYS.join(', ')}.`,
  });
}
