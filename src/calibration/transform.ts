/** From stored elements to the tensor that a model takes: affine map by channel, layout, dtype. */
import { Float16Array } from '@petamoriken/float16';
import { QuantcError } from '../errors/error.js';
import { type DType, dtypeFacts, isFloat, isInteger } from '../ir/dtype.js';
import { Tensor } from '../ir/tensor.js';
import { elementCount } from '../ir/type.js';
import type { Transform } from './manifest.js';

/** What is being converted, for messages. */
export interface FeedPlace {
  readonly file: string;
  readonly value: string;
  /** Number of the first sample. */
  readonly start?: number;
}

/** Shape after the transform of an array of this shape. */
export function transformedShape(shape: readonly number[], transform: Transform | undefined): number[] {
  if (transform?.layout !== 'NHWC->NCHW') return [...shape];
  const [n, ...rest] = shape;
  return [n!, rest[rest.length - 1]!, ...rest.slice(0, -1)];
}

/**
 * Checks once, before any feed, that elements of `from` can become `to` under the transform.
 * @throws QuantcError E_DATA_DTYPE where conversion would lose more than rounding; E_DATA_TRANSFORM where mean and
 * std do not fit the channels or the layout does not fit the rank
 */
export function checkTransform(
  from: DType,
  to: DType,
  shape: readonly number[],
  transform: Transform | undefined,
  place: FeedPlace,
): void {
  const wrong = (why: string) => new QuantcError('E_DATA_TRANSFORM', why, { place: placeOf(place) });
  if (transform !== undefined) {
    if (!isFloat(to) && !onlyMoves(transform)) {
      throw wrong(`a transform gives floats, but the input takes ${to}`);
    }
    if (transform.layout !== undefined && shape.length < 3) {
      throw wrong(`${transform.layout} needs at least 3 dimensions, not [${shape}]`);
    }
    const channels = channelsOf(shape, transform);
    for (const key of ['mean', 'std'] as const) {
      const length = transform[key]?.length ?? 1;
      if (length !== 1 && length !== channels) {
        throw wrong(`${key} has ${length} entries for ${channels} channels`);
      }
    }
  }
  const supported = ['float', 'float16', 'double'];
  const numeric = (dtype: DType) => isInteger(dtype) && dtypeFacts(dtype).bits >= 8;
  const fits =
    from === to ||
    (supported.includes(to) && (supported.includes(from) || numeric(from) || from === 'bool')) ||
    (numeric(to) && (numeric(from) || from === 'bool'));
  if (!fits) {
    throw new QuantcError('E_DATA_DTYPE', `the array holds ${from}, the input takes ${to}`, {
      place: placeOf(place),
      hint: `Save the array as ${to}.`,
    });
  }
}

/** True for a transform that changes where elements lie and nothing else. */
const onlyMoves = ({ layout, scale, mean, std }: Transform): boolean =>
  layout !== undefined && scale === undefined && mean === undefined && std === undefined;

/** Channels lie last in arrays with a layout, and on axis 1 without. */
const channelsOf = (shape: readonly number[], { layout }: Transform): number =>
  shape[layout === undefined ? 1 : shape.length - 1] ?? 1;

const placeOf = ({ file, value }: FeedPlace) => ({ file, value });

/**
 * Applies the transform and converts to the model's dtype; nothing is copied where neither changes anything.
 * @throws QuantcError E_DATA_RANGE where an integer does not fit the dtype, E_DATA_NAN for NaN and infinities (a
 * float16 input overflows beyond 65504)
 */
export function transformRows(
  rows: Tensor,
  to: DType,
  transform: Transform | undefined,
  place: FeedPlace,
): Tensor {
  const shape = transformedShape(rows.shape, transform);
  if (!isFloat(to)) return convertIntegers(moved(rows, transform), to, place).with({ shape });
  const stored =
    rows.dtype === 'double'
      ? (rows.data() as Float64Array)
      : rows.dtype === to
        ? rows.toFloat32()
        : plain(rows);
  const floats = transform === undefined ? stored : affine(stored, rows.shape, transform);
  const data =
    to === 'double'
      ? Float64Array.from(floats)
      : to === 'float16'
        ? Float16Array.from(floats)
        : asFloat32(floats);
  refuseNonfinite(data, elementCount(rows.shape.slice(1)), place);
  return Tensor.of(to, shape, data);
}

/** @param row elements of a sample. @throws QuantcError E_DATA_NAN */
export function refuseNonfinite(data: ArrayLike<number>, row: number, place: FeedPlace): void {
  for (let i = 0; i < data.length; i++) {
    if (Number.isFinite(data[i])) continue;
    const sample = (place.start ?? 0) + Math.floor(i / (row || 1));
    throw new QuantcError('E_DATA_NAN', `sample ${sample} holds ${data[i]}`, {
      place: placeOf(place),
      hint: 'Clean the data: a range that NaN or infinity touched is worth nothing.',
    });
  }
}

const asFloat32 = (values: ArrayLike<number>): Float32Array =>
  values instanceof Float32Array ? values : Float32Array.from(values);

/** Elements as numbers in whatever typed array holds them without loss (64-bit integers as doubles). */
function plain(rows: Tensor): ArrayLike<number> {
  const data = rows.data();
  if (rows.dtype === 'float16') return rows.toFloat32();
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Float64Array.from(data, Number);
  return data;
}

/** Where each channel's elements lie before and after: first element and distance, over every sample. */
function* channelRuns(shape: readonly number[], transform: Transform) {
  const channels = channelsOf(shape, transform);
  const before = transform.layout !== undefined;
  const after = transform.layout === 'NHWC';
  const inner = before ? elementCount(shape.slice(1, -1)) : elementCount(shape.slice(2));
  for (let channel = 0; channel < channels; channel++) {
    for (let sample = 0; sample < shape[0]!; sample++) {
      const whole = sample * channels * inner;
      const [last, first] = [whole + channel, whole + channel * inner];
      yield {
        channel,
        inner,
        from: before ? last : first,
        step: before ? channels : 1,
        to: after ? last : first,
        stride: after ? channels : 1,
      };
    }
  }
}

function affine(stored: ArrayLike<number>, shape: readonly number[], transform: Transform): Float32Array {
  const out = new Float32Array(stored.length);
  const { scale = 1, mean = [0], std = [1] } = transform;
  const of = (x: number, channel: number): number =>
    (x * scale - mean[channel % mean.length]!) / std[channel % std.length]!;
  if (stored instanceof Uint8Array) {
    // Bytes are looked up: there are only 256 of them.
    const tables = Array.from({ length: channelsOf(shape, transform) }, (_, channel) =>
      Float32Array.from({ length: 256 }, (_, x) => of(x, channel)),
    );
    for (const { channel, inner, from, step, to, stride } of channelRuns(shape, transform)) {
      const table = tables[channel]!;
      for (let i = 0; i < inner; i++) out[to + i * stride] = table[stored[from + i * step]!]!;
    }
    return out;
  }
  for (const { channel, inner, from, step, to, stride } of channelRuns(shape, transform)) {
    for (let i = 0; i < inner; i++) out[to + i * stride] = of(stored[from + i * step]!, channel);
  }
  return out;
}

/** Integers whose channels go to the front. */
function moved(rows: Tensor, transform: Transform | undefined): Tensor {
  if (transform?.layout !== 'NHWC->NCHW') return rows;
  const data = rows.data();
  const out = data.slice();
  for (const { inner, from, step, to } of channelRuns(rows.shape, transform)) {
    for (let i = 0; i < inner; i++) out[to + i] = data[from + i * step]!;
  }
  return Tensor.of(rows.dtype, rows.shape, out);
}

function convertIntegers(rows: Tensor, to: DType, place: FeedPlace): Tensor {
  if (rows.dtype === to) return rows;
  const { bits, kind, array } = dtypeFacts(to);
  const values = Array.from(rows.data() as ArrayLike<number | bigint>, BigInt);
  const low = kind === 'int' ? -(1n << BigInt(bits - 1)) : 0n;
  const high = kind === 'int' ? (1n << BigInt(bits - 1)) - 1n : (1n << BigInt(bits)) - 1n;
  for (const value of values) {
    if (value < low || value > high) {
      throw new QuantcError('E_DATA_RANGE', `the array holds ${value}, which ${to} cannot`, {
        place: placeOf(place),
      });
    }
  }
  const data = new array(new ArrayBuffer((bits / 8) * values.length));
  values.forEach((value, i) => {
    data[i] = bits === 64 ? value : Number(value);
  });
  return Tensor.of(to, rows.shape, data);
}
