/** Chooses factors for the free channels of a model, so that quantizing it loses least, and applies them. */
import {
  constantNumbers,
  exclusionFact,
  type Model,
  type PassContext,
  placementOf,
  planStatic,
  targetFact,
  type Value,
} from '../../src/index.js';
import { ChannelGraph, HELD, type Space } from './graph.js';
import { Reader } from './noise.js';
import { rescale } from './rescale.js';
import { type ChannelStatistics, channelStatistics } from './statistics.js';

/** Samples that channels are measured on. */
const SAMPLES = 128;
/** No channel is scaled by more than this against the largest. */
const REACH = 16;
/** Noise that must go, or the space is left as it is. */
const GAIN = 0.97;
/** Room that a channel keeps above what the samples showed of it. */
const MARGIN = 1.3;
/** Candidates: a factor is range^−power · weight^power'. */
const POWERS = [0, 0.25, 0.5, 0.75, 1];
const WEIGHTS = [0, 0.25, 0.5];

export async function balance(
  model: Model,
  context: PassContext,
  takes: (space: Space) => boolean,
): Promise<void> {
  const { watch } = context.engine;
  if (watch === undefined) {
    context.decline('there are no samples to measure channels on');
    return;
  }
  const target = targetFact.get(context);
  const plan = planStatic(model.graph, target, exclusionFact.find(context));
  const channels = new ChannelGraph(model.graph);
  const placed = placementOf(plan).values;
  const spaces = channels
    .spaces()
    .filter((space) => takes(space) && space.readers.some((node) => Reader.reads(plan.nodes.get(node))));
  const looked = new Set<Value>();
  for (const { values, readers } of spaces) {
    for (const value of values) if (placed.has(value) || topOf(value) !== undefined) looked.add(value);
    for (const node of readers) if (Reader.reads(plan.nodes.get(node))) looked.add(node.inputs[0]!);
  }
  const statistics = await channelStatistics(model, [...looked], channels, watch, SAMPLES);
  const factors = new Map<number, number>();
  for (const space of spaces) {
    const readers = space.readers.flatMap((node) => {
      const each = plan.nodes.get(node);
      const seen = node.inputs[0] && statistics.get(node.inputs[0]);
      return Reader.reads(each) && seen ? [new Reader(each, seen, target)] : [];
    });
    const chosen = choose(space, channels, readers, statistics);
    if (typeof chosen === 'string') {
      context.decline(chosen, space.values[0]);
      continue;
    }
    for (const [variable, factor] of chosen.factors) factors.set(variable, factor);
    context.changed(`${chosen.gain.toFixed(1)} dB less noise is expected (${chosen.how})`, space.readers[0]);
  }
  if (factors.size > 0) rescale(model.graph, channels, factors);
}

/** Upper end of a Clip that gives the value. */
function topOf(value: Value): number | undefined {
  const node = value.producer;
  return node?.is('Clip') ? constantNumbers(node.inputs[2])?.[0] : undefined;
}

interface Choice {
  readonly factors: ReadonlyMap<number, number>;
  readonly gain: number;
  readonly how: string;
}

function choose(
  space: Space,
  channels: ChannelGraph,
  readers: readonly Reader[],
  statistics: ReadonlyMap<Value, ChannelStatistics>,
): Choice | string {
  if (readers.length === 0) return 'nothing was seen of what its readers read';
  const size = new Map<number, number>();
  const reach = new Map<number, number>();
  const most = new Map<number, number>();
  const raise = (map: Map<number, number>, variable: number, to: number) =>
    map.set(variable, Math.max(map.get(variable) ?? 0, to));
  let top = 0;
  let clipped = false;
  for (const value of space.values) {
    const seen = statistics.get(value);
    const end = topOf(value);
    if (end !== undefined) clipped = true;
    if (seen === undefined) {
      if (end !== undefined) return 'nothing was seen behind its Clip';
      continue;
    }
    seen.max.forEach((max, channel) => {
      const variable = channels.variable(value, channel);
      const here = Math.max(max, -seen.min[channel]!, 0);
      top = Math.max(top, here);
      if (variable === HELD) return;
      raise(size, variable, here);
      if (end !== undefined) {
        const room = max >= end * (1 - 1e-6) ? 1 : Math.max(1, end / (max * MARGIN));
        most.set(variable, Math.min(most.get(variable) ?? Number.POSITIVE_INFINITY, room));
      }
    });
  }
  for (const reader of readers) {
    reader.reach().forEach((each, channel) => raise(reach, channels.variable(reader.value, channel), each));
  }
  const noise = (factors: ReadonlyMap<number, number>): number =>
    readers.reduce(
      (sum, reader) =>
        sum +
        reader.noise((value) =>
          Float64Array.from(
            { length: channels.channelsOf(value)!.count },
            (_, channel) => factors.get(channels.variable(value, channel)) ?? 1,
          ),
        ),
      0,
    );
  const before = noise(new Map());
  let best: Choice | undefined;
  let least = before * GAIN;
  for (const power of POWERS) {
    for (const byWeight of clipped ? [0] : WEIGHTS) {
      if (power === 0 && byWeight === 0) continue;
      const factors = new Map<number, number>();
      let highest = 0;
      for (const variable of space.variables) {
        const share = Math.min(1, Math.max((MARGIN * (size.get(variable) ?? 0)) / top, 1 / REACH));
        const weight = Math.max(reach.get(variable) ?? 0, 1 / REACH);
        const factor = share ** -power * weight ** byWeight;
        factors.set(variable, factor);
        highest = Math.max(highest, factor * (size.get(variable) ?? 0));
      }
      for (const [variable, factor] of factors) {
        const limited = clipped ? Math.min(factor, most.get(variable) ?? 1) : (factor * top) / highest;
        factors.set(variable, limited);
      }
      const after = noise(factors);
      if (after < least) {
        least = after;
        best = { factors, gain: 10 * Math.log10(before / after), how: `range^${power} weight^${byWeight}` };
      }
    }
  }
  return best ?? 'its channels are as even as they need be';
}
