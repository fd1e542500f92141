/** Two models value by value: where the error comes in, how it grows, and how well each grid suits what it rounds. */
import type { Model, Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { elementCount } from '../ir/type.js';
import { ErrorSum } from '../quant/error.js';
import { type GridFacts, GridUse } from '../quant/grid-use.js';
import { ChannelGains } from './channel-gains.js';
import { magnitudes, spreadOf, weightSpread } from './channel-spread.js';
import {
  type CompareOptions,
  type Comparison,
  type Feed,
  type Feeds,
  numbersOf,
  sameTensor,
} from './compare.js';
import { type LayerPair, pairLayers } from './layer-pairs.js';
import { type SessionOptions, withSession } from './session.js';
import { tapBytes, tapped } from './tap.js';

export interface LayerOptions extends CompareOptions {
  /** Bytes of inner values held of each model at a time; more values mean more runs. Default 64 MiB. */
  readonly maxBytes?: number;
}

/** How one inner value of the candidate lies to the reference's. */
export interface LayerComparison extends Comparison {
  /** Node of the reference that computes it; absent for an input of the graph. */
  readonly node?: string;
  readonly opType?: string;
  /** Whether integers have a part in computing it in the candidate. */
  readonly quantized: boolean;
  /** Names of the compared values that it is computed from. */
  readonly from: readonly string[];
  /** The candidate multiplies the channels by factors of their own: SQNR and cosine are told without these. */
  readonly rescaled?: true;
  /** How the grid suits the value, where the candidate quantizes it with one scale. */
  readonly grid?: GridFacts;
  /** Largest magnitude of a channel over that of the median channel; absent for values without channels. */
  readonly channelSpread?: number;
  /** The same of its weight's output channels, where one scale has to do for all of them. */
  readonly weightSpread?: number;
}

/**
 * Compares the inner values that both models have, in the reference's order; values that the candidate quantizes are
 * compared as their readers get them. Pairs that turn out to differ in shape are left out. Memory is bounded: values
 * come in groups, and all feeds are run once a group, unoptimized, since fused values no longer exist.
 * @param feeds called once a group, for the same feeds each time.
 * @throws errors of `openSession` and `Session.run`
 */
export async function compareLayers(
  reference: Model,
  candidate: Model,
  feeds: () => Feeds,
  options: LayerOptions = {},
): Promise<LayerComparison[]> {
  const pairs = pairLayers(reference, candidate);
  const paired = new Map(pairs.map((pair) => [pair.reference, pair.reference.name]));
  const results: LayerComparison[] = [];
  for (const group of groupsOf(pairs, options.maxBytes ?? 64 << 20)) {
    const sums = group.map((pair) => new LayerSum(pair, sourcesOf(pair.reference, paired)));
    const inner = (values: readonly Value[]) => [...new Set(values)].filter((value) => !value.isInput);
    const mine = inner(group.map((pair) => pair.reference));
    const theirs = inner(
      group.flatMap((pair) => [pair.candidate, ...(pair.rounding ? [pair.rounding.before] : [])]),
    );
    await withTaps(reference, mine, options.reference, (first) =>
      withTaps(candidate, theirs, options.candidate, async (second) => {
        for await (const feed of feeds()) {
          const [expected, actual] = [await first(feed), await second(feed)];
          for (const sum of sums) sum.add(expected, actual);
        }
      }),
    );
    results.push(...sums.filter((sum) => sum.comparable).map((sum) => sum.comparison));
  }
  return results;
}

type Run = (feed: Feed) => Promise<Readonly<Record<string, Tensor>>>;

/** Gives the wanted values of a model, inputs among them, for a feed. */
async function withTaps(
  model: Model,
  values: readonly Value[],
  options: SessionOptions | undefined,
  use: (run: Run) => Promise<void>,
): Promise<void> {
  if (values.length === 0) return use(async (feed) => feed);
  await withSession(tapped(model, values), { optimization: 'off', ...options }, (session) =>
    use(async (feed) => ({ ...feed, ...(await session.run(feed)) })),
  );
}

/** Pairs whose values stay below a ceiling in either model; one that is larger stands alone. */
function groupsOf(pairs: readonly LayerPair[], ceiling: number): LayerPair[][] {
  const groups: LayerPair[][] = [];
  let room = 0;
  for (const pair of pairs) {
    const theirs = tapBytes(pair.candidate) + (pair.rounding ? tapBytes(pair.rounding.before) : 0);
    const bytes = Math.max(tapBytes(pair.reference), theirs);
    if (groups.length === 0 || bytes > room) {
      groups.push([]);
      room = ceiling;
    }
    groups.at(-1)!.push(pair);
    room -= bytes;
  }
  return groups;
}

/** The nearest compared values that a value is computed from. */
function sourcesOf(value: Value, paired: ReadonlyMap<Value, string>): string[] {
  const found = new Set<string>();
  const seen = new Set<Value>();
  const walk = (from: Value): void => {
    for (const input of from.producer?.inputs ?? []) {
      if (input === undefined || seen.has(input)) continue;
      seen.add(input);
      const name = paired.get(input);
      if (name === undefined) walk(input);
      else found.add(name);
    }
  };
  walk(value);
  return [...found];
}

/** Sums one pair over feeds. */
class LayerSum {
  readonly #pair: LayerPair;
  readonly #from: readonly string[];
  readonly #errors = new ErrorSum();
  readonly #use: GridUse | undefined;
  readonly #gains = new ChannelGains((rank) => this.#axis(rank));
  #channels: Float64Array | undefined;
  #feeds = 0;
  #identical = true;
  /** False once a feed has shown two shapes: the two have nothing to do with each other. */
  comparable = true;

  constructor(pair: LayerPair, from: readonly string[]) {
    this.#pair = pair;
    this.#from = from;
    this.#use = pair.rounding && new GridUse(pair.rounding.grid);
  }

  add(expected: Readonly<Record<string, Tensor>>, actual: Readonly<Record<string, Tensor>>): void {
    const { reference, candidate, rounding } = this.#pair;
    const mine = expected[reference.name]!;
    const theirs = actual[candidate.name]!;
    this.comparable &&= mine.shape.join() === theirs.shape.join();
    if (!this.comparable) return;
    this.#feeds++;
    this.#identical &&= sameTensor(mine, theirs);
    const [x, y] = [numbersOf(mine), numbersOf(theirs)];
    this.#errors.add(x, y);
    this.#gains.add(x, y, mine.shape);
    this.#measureChannels(x, mine.shape);
    if (rounding === undefined) return;
    const before = numbersOf(actual[rounding.before.name]!);
    const { least, most } = rounding.bend ?? {};
    const bent =
      least === undefined ? before : Float64Array.from(before, (v) => Math.min(most!, Math.max(least, v)));
    this.#use!.add(bent, y);
  }

  /** Channels lie on axis 1 of pictures and of what convolutions give, else on the last one. */
  #axis(rank: number): number {
    return rank > 3 || this.#pair.node?.opType.includes('Conv') === true ? 1 : rank - 1;
  }

  #measureChannels(values: ArrayLike<number>, shape: readonly number[]): void {
    if (shape.length < 2) return;
    const axis = this.#axis(shape.length);
    const count = shape[axis]!;
    const inner = elementCount(shape.slice(axis + 1)) || 1;
    this.#channels ??= new Float64Array(count);
    if (this.#channels.length !== count) return;
    magnitudes(values, count, inner, this.#channels);
  }

  get comparison(): LayerComparison {
    const { node } = this.#pair;
    const facts = this.#errors.facts;
    const rescaled = this.#gains.explain(facts.sqnr);
    const channelSpread = this.#channels && spreadOf(this.#channels);
    const ofWeight = weightSpread(node, this.#pair.rounding?.before ?? this.#pair.candidate);
    return {
      name: this.#pair.reference.name,
      ...(node && { node: node.label, opType: node.opType }),
      quantized: this.#pair.quantized,
      from: this.#from,
      ...facts,
      ...(rescaled && { ...rescaled, rescaled: true }),
      ...(this.#use && { grid: this.#use.facts }),
      ...(channelSpread !== undefined && { channelSpread }),
      ...(ofWeight !== undefined && { weightSpread: ofWeight }),
      identical: this.#identical,
      feeds: this.#feeds,
    };
  }
}
