/**
 * y = scale·x + shift with one scale and shift a channel: what BatchNormalization and arithmetic with per-channel
 * constants are. Kept as a function of constants, so that large ones are read only when the model is written.
 */
import { isReal, realsOf, type Tensor } from '../../src/index.js';

export interface Coefficients {
  readonly scale: Float64Array;
  readonly shift: Float64Array;
}

export interface ChannelAffine {
  /** The constants that it is made from. */
  readonly from: readonly Tensor[];
  /** Scale and shift of each channel, in double precision. */
  readonly evaluate: (from: readonly Tensor[]) => Coefficients;
  readonly channels: number;
}

/**
 * Scales beyond these could overflow a weight. Small ones are harmless where numbers reach down to 1e-38: what they
 * would flush adds nothing to the shift. float16 flushes already below 6e-8.
 */
const LIMITS = { float: [0, 2 ** 60], double: [0, 2 ** 200], float16: [2 ** -6, 2 ** 6] } as const;

/** `true` when folding can neither overflow nor flush weights of that dtype, else why not. Reads the constants. */
export function isFoldable(affine: ChannelAffine, dtype: Tensor['dtype']): true | string {
  if (!isReal(dtype)) return `weights are ${dtype}`;
  const odd = affine.from.find((tensor) => !isReal(tensor.dtype));
  if (odd !== undefined) return `${odd.name} is ${odd.dtype}`;
  const { scale, shift } = affine.evaluate(affine.from);
  const [least, most] = LIMITS[dtype];
  for (let i = 0; i < affine.channels; i++) {
    const size = Math.abs(scale[i]!);
    if (!(Number.isFinite(size) && Number.isFinite(shift[i]))) return 'a scale or shift is not finite';
    if (size > most || (size !== 0 && size < least))
      return `a scale of ${size} is too far from 1 for ${dtype}`;
  }
  return true;
}

/** True when some channel is shifted. Reads the constants. */
export const hasShift = (affine: ChannelAffine): boolean =>
  affine.evaluate(affine.from).shift.some((each) => each !== 0);

/** True when some channel is scaled. Reads the constants. */
export const hasScale = (affine: ChannelAffine): boolean =>
  affine.evaluate(affine.from).scale.some((each) => each !== 1);

/**
 * A constant that is combined element by element with a value of `rank` dimensions, as one number a channel.
 * @returns a reason when it differs along other axes than `axis` or would widen the value.
 */
export function perChannel(tensor: Tensor, rank: number, axis: number, channels: number): true | string {
  const named = tensor.name || 'the constant';
  if (tensor.shape.length > rank) return `${named} has ${tensor.shape.length} dimensions, the value ${rank}`;
  const offset = rank - tensor.shape.length;
  for (const [at, dim] of tensor.shape.entries()) {
    if (dim === 1 || (at + offset === axis && dim === channels)) continue;
    return `${named} is [${tensor.shape}], not one number a channel`;
  }
  return true;
}

/** Repeats a scalar over the channels. */
const spread = (tensor: Tensor, channels: number): Float64Array => {
  const reals = realsOf(tensor);
  return Float64Array.from({ length: channels }, (_, i) => reals[reals.length === 1 ? 0 : i]!);
};

const map = (values: Float64Array, change: (each: number, index: number) => number): Float64Array =>
  values.map(change);

/** How an elementwise node changes a value `y`, given which side the constant `c` stands on. */
const ARITHMETIC: Readonly<Record<string, (c: Float64Array, first: boolean) => Coefficients | undefined>> = {
  Mul: (c) => ({ scale: c, shift: map(c, () => 0) }),
  Add: (c) => ({ scale: map(c, () => 1), shift: c }),
  // y − c, or c − y when the constant stands first.
  Sub: (c, first) => ({ scale: map(c, () => (first ? -1 : 1)), shift: first ? c : map(c, (each) => -each) }),
  Div: (c, first) => (first ? undefined : { scale: map(c, (each) => 1 / each), shift: map(c, () => 0) }),
};

/** Arithmetic with a per-channel constant, which {@link perChannel} has accepted. c / y is not affine. */
export function arithmetic(
  opType: string,
  tensor: Tensor,
  first: boolean,
  channels: number,
): ChannelAffine | undefined {
  const form = ARITHMETIC[opType];
  if (form === undefined || (opType === 'Div' && first)) return undefined;
  return { from: [tensor], channels, evaluate: ([constant]) => form(spread(constant!, channels), first)! };
}

/** BatchNormalization in inference: scale = γ / √(σ² + ε), shift = β − μ·scale. */
export function batchNormalization(
  tensors: readonly [scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor],
  epsilon: number,
): ChannelAffine {
  return {
    from: tensors,
    channels: tensors[0].count,
    evaluate(from) {
      const [gamma, beta, mean, variance] = from.map(realsOf);
      const scale = Float64Array.from(gamma!, (each, i) => each / Math.sqrt(variance![i]! + epsilon));
      return { scale, shift: scale.map((each, i) => beta![i]! - mean![i]! * each) };
    },
  };
}
