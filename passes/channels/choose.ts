/** Factors for the channels of one space: of a family of candidates, those that promise least noise at its readers. */
import { constantNumbers, type Value } from '../../src/index.js';
import { type ChannelGraph, HELD, type Space } from './graph.js';
import type { Reader } from './noise.js';
import type { Factors } from './rescale.js';
import type { ChannelStatistics } from './statistics.js';

/** What factors promise for a space. */
export interface Choice {
  readonly factors: Factors;
  /** Noise over signal at its readers without the factors, over that with them, in dB. */
  readonly gain: number;
  /** The candidate, for the trace. */
  readonly how: string;
}

/** No channel is scaled by more than this against the largest. */
const REACH = 16;
/** Room that a channel keeps above what the samples showed of it. */
const MARGIN = 1.5;
/**
 * Candidates: a factor is range^−p · weight^q, the law of SmoothQuant with its exponents set free; p = ½, q = 0 is
 * the square root of layer equalization, taken of activations. Beyond ½ nothing was gained on held-out samples: a
 * channel that was quiet while it was measured keeps room to be louder.
 */
const RANGE_POWERS = [0, 0.25, 0.5];
const WEIGHT_POWERS = [0, 0.25, 0.5];

/** Upper end of a Clip that gives the value. */
export function topOf(value: Value): number | undefined {
  const node = value.producer;
  return node?.is('Clip') ? constantNumbers(node.inputs[2])?.[0] : undefined;
}

/** The best candidate, or why there is none. */
export function chooseFactors(
  space: Space,
  channels: ChannelGraph,
  readers: readonly Reader[],
  statistics: ReadonlyMap<Value, ChannelStatistics>,
): Choice | string {
  if (readers.length === 0) return 'nothing was seen of what its readers read';
  const sizes = sizesOf(space, channels, statistics);
  if (typeof sizes === 'string') return sizes;
  const weights = new Map<number, number>();
  for (const reader of readers) {
    for (const [channel, reach] of reader.reach().entries())
      raise(weights, channels.variable(reader.value, channel), reach);
  }
  const noise = (factors: Factors): number => {
    const factorsOf = (value: Value): Float64Array =>
      Float64Array.from(
        { length: channels.channelsOf(value)!.count },
        (_, channel) => factors.get(channels.variable(value, channel)) ?? 1,
      );
    return readers.reduce((sum, reader) => sum + reader.noise(factorsOf), 0);
  };
  const before = noise(new Map());
  let best: Choice | undefined;
  for (const power of RANGE_POWERS) {
    for (const byWeight of sizes.clipped ? [0] : WEIGHT_POWERS) {
      if (power === 0 && byWeight === 0) continue;
      const factors = candidate(space, sizes, weights, power, byWeight);
      const gain = 10 * Math.log10(before / noise(factors));
      if (gain > (best?.gain ?? 0)) best = { factors, gain, how: `range^-${power} weight^${byWeight}` };
    }
  }
  return best ?? 'its channels are as even as they need be';
}

interface Sizes {
  /** Largest magnitude of each variable, and of all of them. */
  readonly of: ReadonlyMap<number, number>;
  readonly top: number;
  /** How far each may grow before a Clip would cut it off, where there is one. */
  readonly room: ReadonlyMap<number, number>;
  readonly clipped: boolean;
}

/**
 * Magnitudes of the channels of a space. A Clip cuts every channel at the same number, so that those which reach it
 * must stay, and others may grow up to it: what they would show beyond, had it been calibrated, is cut off then, as it
 * is by any quantized range.
 */
function sizesOf(
  space: Space,
  channels: ChannelGraph,
  statistics: ReadonlyMap<Value, ChannelStatistics>,
): Sizes | string {
  const of = new Map<number, number>();
  const room = new Map<number, number>();
  let [top, clipped] = [0, false];
  for (const value of space.values) {
    const seen = statistics.get(value);
    const end = topOf(value);
    if (end !== undefined) clipped = true;
    if (seen === undefined) {
      if (end !== undefined) return 'nothing was seen behind its Clip';
      continue;
    }
    for (const [channel, max] of seen.max.entries()) {
      const size = Math.max(max, -seen.min[channel]!, 0);
      if (!Number.isFinite(size)) return 'it holds values that are not finite';
      top = Math.max(top, size);
      const variable = channels.variable(value, channel);
      if (variable === HELD) continue;
      raise(of, variable, size);
      if (end === undefined) continue;
      const here = max >= end * (1 - 1e-6) ? 1 : Math.max(1, end / (max * MARGIN));
      room.set(variable, Math.min(room.get(variable) ?? Number.POSITIVE_INFINITY, here));
    }
  }
  return top > 0 ? { of, top, room, clipped } : 'it holds nothing but zeros';
}

const raise = (map: Map<number, number>, key: number, to: number): void => {
  map.set(key, Math.max(map.get(key) ?? 0, to));
};

/** Factors that leave the largest magnitude what it was. */
function candidate(
  { variables }: Space,
  { of, top, room, clipped }: Sizes,
  weights: ReadonlyMap<number, number>,
  power: number,
  byWeight: number,
): Factors {
  const factors = new Map<number, number>();
  let highest = 0;
  for (const variable of variables) {
    const size = of.get(variable) ?? 0;
    const share = Math.min(1, Math.max((MARGIN * size) / top, 1 / REACH));
    const weight = Math.max(weights.get(variable) ?? 0, 1 / REACH);
    const factor = share ** -power * weight ** byWeight;
    factors.set(variable, factor);
    highest = Math.max(highest, factor * size);
  }
  for (const [variable, factor] of factors) {
    const allowed = clipped ? Math.min(factor, room.get(variable) ?? 1) : (factor * top) / highest;
    factors.set(variable, ofFewBits(allowed));
  }
  return factors;
}

/**
 * Rounded down to eight significant bits: processors differ in the last bits of what they measure, and what is made of
 * it, the bytes of the file, should not.
 */
function ofFewBits(factor: number): number {
  const step = 2 ** (Math.floor(Math.log2(factor)) - 7);
  return Math.floor(factor / step) * step;
}
