/** What calibration samples hold in each channel of a value. */
import { type Engine, knownElements, type Model, type Tensor, type Value } from '../../src/index.js';
import type { ChannelGraph } from './graph.js';

export interface ChannelStatistics {
  /** Smallest and largest element of each channel. */
  readonly min: Float64Array;
  readonly max: Float64Array;
  /** Mean of the squares of each channel. */
  readonly power: Float64Array;
}

/** Elements of values that are looked at in one run over the samples, so that they need not all be held at once. */
const AT_ONCE = 1 << 23;

/**
 * Watches values over calibration samples.
 * @param values of the main graph, whose channels are known
 * @returns statistics of every value in which something was seen
 */
export async function channelStatistics(
  model: Model,
  values: readonly Value[],
  channels: ChannelGraph,
  watch: NonNullable<Engine['watch']>,
  samples: number,
): Promise<Map<Value, ChannelStatistics>> {
  const sums = new Map<Value, Sums>();
  for (const chunk of chunks(values)) {
    await watch(model, chunk, samples, (seen) => {
      for (const [value, tensor] of seen) {
        const { axes, count } = channels.channelsOf(value)!;
        let sum = sums.get(value);
        if (sum === undefined) {
          sum = new Sums(count);
          sums.set(value, sum);
        }
        sum.add(tensor, axes);
      }
    });
  }
  return new Map([...sums].map(([value, sum]) => [value, sum.statistics()]));
}

function* chunks(values: readonly Value[]): Generator<Value[]> {
  let chunk: Value[] = [];
  let held = 0;
  for (const value of values) {
    const elements = knownElements(value);
    if (chunk.length > 0 && held + elements > AT_ONCE) {
      yield chunk;
      [chunk, held] = [[], 0];
    }
    chunk.push(value);
    held += elements;
  }
  if (chunk.length > 0) yield chunk;
}

class Sums {
  readonly #min: Float64Array;
  readonly #max: Float64Array;
  readonly #squares: Float64Array;
  #elements = 0;

  constructor(count: number) {
    this.#min = new Float64Array(count).fill(Number.POSITIVE_INFINITY);
    this.#max = new Float64Array(count).fill(Number.NEGATIVE_INFINITY);
    this.#squares = new Float64Array(count);
  }

  add(tensor: Tensor, axes: readonly number[]): void {
    const data = tensor.toFloat32();
    const { shape } = tensor;
    // Runs along the dimensions behind the last axis of channels belong to one channel.
    const last = axes.at(-1)!;
    const run = shape.slice(last + 1).reduce((product, dim) => product * dim, 1);
    for (let start = 0, at = 0; start < data.length; start += run, at++) {
      const channel = channelAt(at, shape, axes, last);
      let [min, max, squares] = [this.#min[channel]!, this.#max[channel]!, 0];
      for (let i = start; i < start + run; i++) {
        const each = data[i]!;
        if (each < min) min = each;
        if (each > max) max = each;
        squares += each * each;
      }
      this.#min[channel] = min;
      this.#max[channel] = max;
      this.#squares[channel]! += squares;
    }
    this.#elements += data.length / this.#min.length;
  }

  statistics(): ChannelStatistics {
    const elements = Math.max(1, this.#elements);
    return { min: this.#min, max: this.#max, power: this.#squares.map((sum) => sum / elements) };
  }
}

/** The channel of position `at`, counted over the dimensions up to `last`. */
function channelAt(at: number, shape: readonly number[], axes: readonly number[], last: number): number {
  if (axes.length === 1) return at % shape[last]!;
  let [channel, stride] = [0, 1];
  for (let axis = last, rest = at; axis >= 0; axis--) {
    const size = shape[axis]!;
    if (axes.includes(axis)) {
      channel += (rest % size) * stride;
      stride *= size;
    }
    rest = Math.floor(rest / size);
  }
  return channel;
}
