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
}

/** Shape after the transform of an array of this shape. */
export function transformedShape(shape: readonly number[], transform: Transform | undefined): number[] {
  if (transform?.layout === undefined) return [...shape];
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
  if (transform !== undefined) {
    if (!isFloat(to)) {
      throw new QuantcError('E_DATA_TRANSFORM', `a transform gives floats, but the input takes ${to}`, {
        place,
      });
    }
    if (transform.layout !== undefined && shape.length < 3) {
      throw new QuantcError(
        'E_DATA_TRANSFORM',
        `${transform.layout} needs at least 3 dimensions, not [${shape}]`,
        {
          place,
        },
      );
    }
    const channels = shape[transform.layout === undefined ? 1 : shape.length - 1] ?? 1;
    for (const key of ['mean', 'std'] as const) {
      const length = transform[key]?.length ?? 1;
      if (length !== 1 && length !== channels) {
        throw new QuantcError('E_DATA_TRANSFORM', `${key} has ${length} entries for ${channels} channels`, {
          place,
        });
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
      place,
      hint: `Save the array as ${to}.`,
    });
  }
}

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
  if (!isFloat(to)) return convertIntegers(rows, to, place);
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
  for (let i = 0; i < data.length; i++) {
    if (!Number.isFinite(data[i])) {
      const sample = Math.floor(i / (elementCount(rows.shape.slice(1)) || 1));
      throw new QuantcError('E_DATA_NAN', `sample ${sample} of this batch holds ${data[i]}`, {
        place,
        hint: 'Clean the data: a range that NaN or infinity touched is worth nothing.',
      });
    }
  }
  return Tensor.of(to, shape, data);
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

function affine(stored: ArrayLike<number>, shape: readonly number[], transform: Transform): Float32Array {
  const last = transform.layout !== undefined;
  const channels = shape[last ? shape.length - 1 : 1] ?? 1;
  const inner = last ? elementCount(shape.slice(1, -1)) : elementCount(shape.slice(2));
  const out = new Float32Array(stored.length);
  const { scale = 1, mean = [0], std = [1] } = transform;
  const samples = stored.length / (channels * inner || 1);
  for (let channel = 0; channel < channels; channel++) {
    const shift = mean[channel % mean.length]!;
    const spread = std[channel % std.length]!;
    for (let sample = 0; sample < samples; sample++) {
      const to = (sample * channels + channel) * inner;
      const from = last ? sample * channels * inner + channel : to;
      const step = last ? channels : 1;
      for (let i = 0; i < inner; i++) out[to + i] = (stored[from + i * step]! * scale - shift) / spread;
    }
  }
  return out;
}

function convertIntegers(rows: Tensor, to: DType, place: FeedPlace): Tensor {
  if (rows.dtype === to) return rows;
  const { bits, kind, array } = dtypeFacts(to);
  const values = Array.from(rows.data() as ArrayLike<number | bigint>, BigInt);
  const low = kind === 'int' ? -(1n << BigInt(bits - 1)) : 0n;
  const high = kind === 'int' ? (1n << BigInt(bits - 1)) - 1n : (1n << BigInt(bits)) - 1n;
  for (const value of values) {
    if (value < low || value > high) {
      throw new QuantcError('E_DATA_RANGE', `the array holds ${value}, which ${to} cannot`, { place });
    }
  }
  const data = new array(new ArrayBuffer((bits / 8) * values.length));
  values.forEach((value, i) => {
    data[i] = bits === 64 ? value : Number(value);
  });
  return Tensor.of(to, rows.shape, data);
}
