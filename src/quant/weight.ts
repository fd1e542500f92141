/** Weights quantized when the encoder asks, with the derivation also told as data for the worker pool. */
import { QuantcError } from '../errors/error.js';
import { isFloat } from '../ir/dtype.js';
import { Tensor, type TensorJob } from '../ir/tensor.js';
import { middleOf, type QuantizedType, usableBounds } from './affine.js';
import { type FitOptions, type FittedScales, fitScales } from './fit.js';
import { type Granularity, layoutOf } from './layout.js';
import { pack } from './pack.js';
import { type QuantizedArray, quantize } from './quantize.js';

export interface WeightOptions extends FitOptions {
  readonly dtype: QuantizedType;
  /** Default 'tensor'. */
  readonly granularity?: Granularity;
  /** The axis for `axis` and blocked granularity; negative counts from the back. Default 0. */
  readonly axis?: number;
}

/** A weight as an integer kernel reads it. */
export interface QuantizedWeight {
  /** `dtype`, the weight's shape. */
  readonly q: Tensor;
  /** float, [] or [channels] or blocked. */
  readonly scale: Tensor;
  /** `dtype`, the scale's shape. */
  readonly zeroPoint: Tensor;
}

/** What one quantization of a weight is, whichever of its three results is asked for. Plain data. */
export interface WeightSpec {
  readonly shape: readonly number[];
  readonly dtype: QuantizedType;
  readonly granularity: Granularity;
  readonly axis: number;
  readonly symmetric: boolean;
  readonly clamp?: number;
  readonly search: 'absmax' | 'mse';
  readonly scaleFloor?: readonly number[];
}

/** The name of the job that all three derived tensors carry. */
export const QUANTIZE_WEIGHT = 'quantize-weight';

/** Parameters of that job. `spec` is one object for the three results, so that scales found once are kept by it. */
export interface WeightJobParameters {
  readonly output: 'q' | 'scale' | 'zeroPoint';
  readonly spec: WeightSpec;
}

const found = new WeakMap<WeightSpec, FittedScales>();

/** Scales of a spec that somebody has already computed. */
export const knownScales = (spec: WeightSpec): FittedScales | undefined => found.get(spec);

/** Keeps the scales of a spec for its other results. They are small: one float and one integer a parameter. */
export function rememberScales(spec: WeightSpec, scales: FittedScales): void {
  found.set(spec, scales);
}

/** The parameters of a weight job, or undefined for any other. */
export function weightJob(job: TensorJob | undefined): WeightJobParameters | undefined {
  return job?.kernel === QUANTIZE_WEIGHT ? (job.parameters as unknown as WeightJobParameters) : undefined;
}

/**
 * Quantizes a floating-point weight lazily: nothing is read now. The three tensors share one computation of the scales.
 * Symmetric by default for signed dtypes; scales per {@link Granularity}. NaN elements become the lowest usable
 * integer and infinities saturate; neither counts for the scale.
 * @throws QuantcError E_QUANT_DTYPE when the weight is not floating-point, E_QUANT_AXIS, E_QUANT_BLOCK, E_QUANT_CLAMP.
 */
export function quantizedWeight(weight: Tensor, options: WeightOptions): QuantizedWeight {
  if (!isFloat(weight.dtype)) {
    throw new QuantcError('E_QUANT_DTYPE', `a weight to quantize is floating-point, not ${weight.dtype}`, {
      place: { value: weight.name },
    });
  }
  const symmetric = options.symmetric ?? !options.dtype.startsWith('u');
  const spec: WeightSpec = {
    shape: weight.shape,
    dtype: options.dtype,
    granularity: options.granularity ?? 'tensor',
    axis: options.axis ?? 0,
    symmetric,
    ...(options.clamp === undefined ? {} : { clamp: options.clamp }),
    search: options.search ?? 'absmax',
    ...(options.scaleFloor === undefined ? {} : { scaleFloor: Array.from(options.scaleFloor) }),
  };
  usableBounds(spec.dtype, spec);
  const { parameterShape } = layoutOf(spec.shape, spec.axis, spec.granularity);
  const job = (output: WeightJobParameters['output']): TensorJob => ({
    kernel: QUANTIZE_WEIGHT,
    parameters: { output, spec },
  });
  const scales = (from: readonly Tensor[]): FittedScales =>
    knownScales(spec) ?? quantizeWeight(from[0]!.toFloat32(), spec, { scalesOnly: true }).scales;
  const constantZero = zeroPoints(spec, parameterShape);
  return {
    q: Tensor.derive(
      spec.dtype,
      weight.shape,
      [weight],
      (from) => quantizeWeight(from[0]!.toFloat32(), spec).q,
      { name: `${weight.name}_quantized`, job: job('q') },
    ),
    scale: Tensor.derive('float', parameterShape, [weight], (from) => scales(from).scale, {
      name: `${weight.name}_scale`,
      job: job('scale'),
    }),
    zeroPoint:
      constantZero ??
      Tensor.derive(
        spec.dtype,
        parameterShape,
        [weight],
        (from) => asElements(scales(from).zeroPoint, spec),
        {
          name: `${weight.name}_zero_point`,
          job: job('zeroPoint'),
        },
      ),
  };
}

/** A symmetric weight's zero points need nothing computed. */
function zeroPoints(spec: WeightSpec, shape: readonly number[]): Tensor | undefined {
  if (!spec.symmetric) return undefined;
  const count = shape.reduce((product, dim) => product * dim, 1);
  return Tensor.of(spec.dtype, shape, asElements(new Int32Array(count).fill(middleOf(spec.dtype)), spec), {
    name: 'zero_point',
  });
}

/**
 * The reference computation: scales (unless known already) and quantized bytes of a weight's float32 values.
 * The scales are remembered under the spec.
 */
export function quantizeWeight(
  values: Float32Array,
  spec: WeightSpec,
  options?: { scalesOnly?: false },
): { q: QuantizedArray; scales: FittedScales };
export function quantizeWeight(
  values: Float32Array,
  spec: WeightSpec,
  options: { scalesOnly: true },
): { scales: FittedScales };
export function quantizeWeight(
  values: Float32Array,
  spec: WeightSpec,
  options: { scalesOnly?: boolean } = {},
): { q?: QuantizedArray; scales: FittedScales } {
  const scales =
    knownScales(spec) ??
    fitScales(values, layoutOf(spec.shape, spec.axis, spec.granularity), spec.dtype, spec);
  rememberScales(spec, scales);
  if (options.scalesOnly) return { scales };
  return { q: quantize(values, { ...spec, ...scales, bounds: usableBounds(spec.dtype, spec) }), scales };
}

/** Zero points as the dtype's own elements, packed for 4 and 2 bits. */
export function asElements(zeroPoint: Int32Array, spec: Pick<WeightSpec, 'dtype'>): ArrayBufferView {
  switch (spec.dtype) {
    case 'int8':
      return Int8Array.from(zeroPoint);
    case 'uint8':
      return Uint8Array.from(zeroPoint);
    case 'int16':
      return Int16Array.from(zeroPoint);
    case 'uint16':
      return Uint16Array.from(zeroPoint);
    case 'int4':
    case 'uint4':
      return pack(zeroPoint, 4);
    case 'int2':
    case 'uint2':
      return pack(zeroPoint, 2);
  }
}
