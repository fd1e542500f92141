/**
 * int32 biases. An integer kernel adds the bias to Σ (x_q − x_z)·(w_q − w_z), so its scale must be s_x · s_w exactly, and
 * round(b / (s_x · s_w)) must fit 32 bits. It does not when a channel's weights are all but zero while its bias is
 * not (common after BatchNormalization was folded in): then the weight's scale is what must give way.
 */
import { QuantcError } from '../errors/error.js';
import { Tensor } from '../ir/tensor.js';
import { FLOAT32_TINY, roundHalfEven } from './affine.js';

const INT32_MAX = 2 ** 31 - 1;
/** What a bias may fill, so that the products summed on top of it still fit int32. */
const BIAS_ROOM = 2 ** 30;

/**
 * The least weight scale of each channel with which the channel's bias fits int32 under the input scale:
 * |b| / (s_x · 2^30), half of the range being left to the products; 0 where the bias is 0. Give it to `quantizedWeight`
 * as `scaleFloor`. Channels of all-zero weights then take the floor as their scale, and so keep an exact bias.
 */
export function biasScaleFloor(bias: ArrayLike<number>, inputScale: number): Float64Array {
  return Float64Array.from(bias, (b) =>
    b === 0 || !Number.isFinite(b)
      ? 0
      : Math.max(Math.abs(b) / (inputScale * BIAS_ROOM), FLOAT32_TINY / inputScale),
  );
}

export interface QuantizedBias {
  readonly values: Int32Array;
  /** float32(s_x · s_w), one a channel or one for all. */
  readonly scale: Float32Array;
  /** Channels whose bias did not fit and was cut to int32's range. */
  readonly saturated: readonly number[];
}

/**
 * round(b / scale) with scale = float32(s_x · s_w), half to even, cut to int32's range. NaN becomes 0.
 * @throws QuantcError E_QUANT_SHAPE when there are neither one weight scale nor as many as biases.
 */
export function quantizeBias(
  bias: ArrayLike<number>,
  inputScale: number,
  weightScale: ArrayLike<number>,
): QuantizedBias {
  if (weightScale.length !== 1 && weightScale.length !== bias.length) {
    throw new QuantcError(
      'E_QUANT_SHAPE',
      `${weightScale.length} weight scales for a bias of ${bias.length} elements`,
    );
  }
  const scale = Float32Array.from(weightScale, (s) => inputScale * s);
  const values = new Int32Array(bias.length);
  const saturated: number[] = [];
  for (let i = 0; i < bias.length; i++) {
    const exact = bias[i]! / scale[scale.length === 1 ? 0 : i]!;
    const rounded = Number.isNaN(exact) ? 0 : Math.abs(exact) < 2 ** 40 ? roundHalfEven(exact) : exact;
    if (rounded > INT32_MAX || rounded < -INT32_MAX - 1) saturated.push(i);
    values[i] = Math.min(Math.max(rounded, -INT32_MAX - 1), INT32_MAX);
  }
  return { values, scale, saturated };
}

/**
 * The int32 bias and its scale as derived tensors: nothing is computed until the encoder asks.
 * @param bias float [channels]. @param inputScale s_x, a float32 value. @param weightScale float [] or [channels].
 */
export function quantizedBias(
  bias: Tensor,
  inputScale: number,
  weightScale: Tensor,
): { q: Tensor; scale: Tensor } {
  const both = ([b, w]: readonly Tensor[]) => quantizeBias(b!.toFloat32(), inputScale, w!.toFloat32());
  const from = [bias, weightScale];
  return {
    q: Tensor.derive('int32', bias.shape, from, (inputs) => both(inputs).values, {
      name: `${bias.name}_quantized`,
    }),
    scale: Tensor.derive('float', weightScale.shape, from, (inputs) => both(inputs).scale, {
      name: `${bias.name}_scale`,
    }),
  };
}
