/** Random feeds for a model that comes without data: they run it, and say nothing about its accuracy. */
import { createHash } from 'node:crypto';
import { Float16Array } from '@petamoriken/float16';
import { QuantcError } from '../errors/error.js';
import { dtypeFacts } from '../ir/dtype.js';
import { Tensor } from '../ir/tensor.js';
import { type Dim, elementCount, type TensorType } from '../ir/type.js';
import type { Batch, DataSet, Feeds, InputSignature } from './dataset.js';
import { SeededRandom } from './random.js';

export interface SyntheticOptions {
  /** Samples; default 8. */
  readonly count?: number;
  /** Samples a feed where the model leaves the first axis open; default 1. */
  readonly batch?: number;
  readonly seed?: number;
  /** Sizes of symbolic dimensions by name. */
  readonly dims?: Readonly<Record<string, number>>;
  /** What inputs are fed that are not to be drawn, the same in every feed. */
  readonly values?: Feeds;
}

/**
 * Seeded feeds for these inputs: floats from the standard normal distribution, integers and booleans 0 or 1 (an index
 * that every embedding has). An open first axis becomes the batch; open axes of pictures become 64, others 16.
 * @throws QuantcError E_DATA_SYNTHETIC for an input of unknown type or rank, or of a dtype that cannot be drawn
 */
export function syntheticData(signature: readonly InputSignature[], options: SyntheticOptions = {}): DataSet {
  const { count = 8, seed = 1, dims = {}, values = {} } = options;
  // Copied: a graph's own inputs change while it is compiled.
  const inputs: InputSignature[] = signature
    .filter((input) => input.constant === undefined && values[input.name] === undefined)
    .map(({ name, type }) => ({ name, type }));
  const fixed = inputs
    .map(({ type }) => (type?.kind === 'tensor' ? type.shape?.[0] : undefined))
    .find((dim): dim is number => typeof dim === 'number' && dim > 0);
  const batch = fixed ?? options.batch ?? 1;
  const sizes = new Map(inputs.map((input) => [input.name, feedShape(input, batch, dims)]));
  const feedCount = Math.ceil(count / batch);
  async function* batches(): AsyncGenerator<Batch> {
    for (let index = 0; index < feedCount; index++) {
      const random = new SeededRandom(seed * 1_000_003 + index);
      const feeds: Record<string, Tensor> = { ...values };
      for (const input of inputs) feeds[input.name] = draw(input, sizes.get(input.name)!, random);
      const start = index * batch;
      const real = Math.min(batch, count - start);
      yield { feeds, start, count: real, padding: batch - real };
    }
  }
  const data: DataSet = {
    source: 'synthetic',
    synthetic: true,
    count,
    batch,
    batches,
    async *[Symbol.asyncIterator](): AsyncGenerator<Feeds> {
      for await (const { feeds } of batches()) yield feeds;
    },
    first: (some) => (some >= count ? data : syntheticData(inputs, { ...options, count: some })),
    // Feeds are drawn one by one: other sizes would be other samples.
    rebatched: () => data,
    digest: () =>
      createHash('sha256')
        .update(JSON.stringify(['synthetic', seed, count, batch, [...sizes], ...Object.keys(values)]))
        .digest('hex'),
  };
  return data;
}

function feedShape(input: InputSignature, batch: number, dims: Readonly<Record<string, number>>): number[] {
  const { type } = input;
  const shape = type?.kind === 'tensor' ? type.shape : undefined;
  if (type?.kind !== 'tensor' || shape === undefined) {
    throw new QuantcError('E_DATA_SYNTHETIC', `the shape of input "${input.name}" is unknown`, {
      place: { value: input.name },
      hint: 'Give data: an .npy, an .npz, or a folder with a data.json.',
    });
  }
  const { bits, kind } = dtypeFacts(type.dtype);
  const drawable =
    kind === 'float' ? bits >= 16 : (kind === 'int' || kind === 'uint' || kind === 'bool') && bits >= 8;
  if (!drawable || type.dtype === 'bfloat16') {
    throw new QuantcError('E_DATA_SYNTHETIC', `cannot draw ${type.dtype} elements`, {
      place: { value: input.name },
    });
  }
  const open = shape.length === 4 ? 64 : 16;
  return shape.map((dim: Dim, axis) => {
    if (typeof dim === 'number' && dim > 0) return dim;
    return (typeof dim === 'string' ? dims[dim] : undefined) ?? (axis === 0 ? batch : open);
  });
}

function draw(input: InputSignature, shape: readonly number[], random: SeededRandom): Tensor {
  const { dtype } = input.type as TensorType;
  const { array, bits, kind } = dtypeFacts(dtype);
  const count = elementCount(shape);
  if (kind === 'float') {
    const values = Float64Array.from({ length: count }, () => random.normal());
    if (dtype === 'double') return Tensor.of(dtype, shape, values);
    return Tensor.of(
      dtype,
      shape,
      dtype === 'float16' ? Float16Array.from(values) : Float32Array.from(values),
    );
  }
  const data = new array(new ArrayBuffer((bits / 8) * count));
  for (let i = 0; i < count; i++) {
    const bit = random.integer(2);
    data[i] = bits === 64 ? BigInt(bit) : bit;
  }
  return Tensor.of(dtype, shape, data);
}
