/** A constant multiplied along one axis: what folding a per-channel factor into a weight makes, as data. */
import { fault } from '../errors/error.js';
import { isReal, realArray, realsOf } from './real.js';
import { Tensor, type TensorJob } from './tensor.js';
import { elementCount } from './type.js';

/** The name of the job that such tensors carry. */
export const SCALE_AXIS = 'scale-axis';

/** Which elements share a factor: the tensor seen as [outer, channels, inner]. */
export interface ScaleAxis {
  readonly channels: number;
  readonly inner: number;
}

/** The parameters of that job, or undefined for any other. */
export const scaleJob = (job: TensorJob | undefined): ScaleAxis | undefined =>
  job?.kernel === SCALE_AXIS ? (job.parameters as unknown as ScaleAxis) : undefined;

/**
 * `tensor` · `factors` along an axis, lazily: each product is taken in double and rounded once to the tensor's dtype.
 * @param tensor float, double or float16 @param factors double, one an index of the axis
 */
export function scaledAlong(tensor: Tensor, factors: Tensor, axis: number): Tensor {
  const { dtype, shape } = tensor;
  if (!isReal(dtype) || factors.count !== shape[axis]) {
    return fault('F_TENSOR_SCALED', `${factors.count} factors for ${dtype}[${shape}] along axis ${axis}`, {
      value: tensor.name,
    });
  }
  const parameters: ScaleAxis = { channels: shape[axis]!, inner: elementCount(shape.slice(axis + 1)) };
  const { channels, inner } = parameters;
  const compute = ([before, by]: readonly Tensor[]): ArrayBufferView => {
    const values = realsOf(before!);
    const factor = by!.data() as Float64Array;
    const after = realArray(dtype, values.length);
    for (let at = 0, run = 0; at < values.length; run++) {
      const f = factor[run % channels]!;
      for (const end = at + inner; at < end; at++) after[at] = values[at]! * f;
    }
    return after;
  };
  return Tensor.derive(dtype, shape, [tensor, factors], compute, {
    name: tensor.name,
    job: { kernel: SCALE_AXIS, parameters: { ...parameters } },
  });
}
