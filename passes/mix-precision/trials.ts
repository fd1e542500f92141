/** Measures mixes and sources of error, each once: what was measured before, in this run or an earlier one, is known. */
import { createHash } from 'node:crypto';
import { type Judge, modelDigest } from '../../src/index.js';
import type { Mix } from './mix.js';
import { type Bench, quantizedBy, withUnits } from './trial.js';
import type { Unit } from './units.js';

/** Feeds that together make this share of the noise are what single sources are measured on, at most so many. */
const TELLING_SHARE = 0.8;
const TELLING_FEEDS = 4;

export class Trials {
  readonly bench: Bench;
  readonly judge: Judge;
  /** Measurements asked for so far, whether they were known or not. */
  count = 0;
  readonly #key: readonly unknown[];
  readonly #onTrial: (count: number) => void;
  /** The feeds that tell most, and what makes their noise stand for that of all. */
  #telling: { feeds: readonly number[]; factor: number } | undefined;

  /** @param onTrial told after every measurement how many there were */
  constructor(bench: Bench, judge: Judge, onTrial: (count: number) => void = () => {}) {
    this.bench = bench;
    this.judge = judge;
    this.#onTrial = onTrial;
    this.#key = [
      modelDigest(bench.model),
      bench.context.engine.samplesDigest?.(judge.samples) ?? '',
      judge.metric,
      bench.plan.target.name,
      digest([...bench.ranges].map(([value, { min, max }]) => [value.name, min, max])),
      digest([...bench.plan.nodes.values()].map(({ node, row }) => [node.label, row.kernel])),
    ];
  }

  /** Noise of a mix over all feeds. */
  async noise(mix: Pick<Mix, 'plan' | 'precise'>): Promise<number> {
    const integers = [...mix.plan.nodes.keys()].map(({ label }) => label);
    const precise = [...mix.precise].map(({ label }) => label);
    const each = await this.#measured('mix', [integers, precise], async () =>
      this.judge.noise(await quantizedBy(this.bench, mix)),
    );
    this.#telling ??= tellingFeeds(each);
    return rounded(sum(each));
  }

  /** Noise of some sources by themselves, as the telling feeds show it. */
  async unitNoise(units: readonly Unit[]): Promise<number> {
    const { feeds, factor } = this.#telling ?? { feeds: undefined, factor: 1 };
    const names = units.map(({ name }) => name);
    const each = await this.#measured('units', [names, feeds ?? 'all'], async () =>
      this.judge.noise(withUnits(this.bench, units), { asWritten: true, ...(feeds && { feeds }) }),
    );
    return rounded(sum(each) * factor);
  }

  async #measured(
    kind: string,
    what: readonly unknown[],
    measure: () => Promise<readonly number[]>,
  ): Promise<readonly number[]> {
    const { remember } = this.bench.context.engine;
    const answer = remember
      ? await remember(`trial-${kind}`, [...this.#key, digest(what)], async () => [...(await measure())])
      : await measure();
    this.count += 1;
    this.#onTrial(this.count);
    return answer;
  }
}

/** The feeds with the most noise: on the others a difference would hardly be seen. */
function tellingFeeds(each: readonly number[]): { feeds: readonly number[]; factor: number } {
  const whole = sum(each);
  const order = each.map((_, at) => at).sort((a, b) => each[b]! - each[a]! || a - b);
  const feeds: number[] = [];
  let part = 0;
  for (const at of order) {
    feeds.push(at);
    part += each[at]!;
    if (part >= TELLING_SHARE * whole || feeds.length >= TELLING_FEEDS) break;
  }
  return {
    feeds: feeds.sort((a, b) => a - b),
    factor: part > 0 && Number.isFinite(whole) ? whole / part : 1,
  };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

/** Three digits: beyond that figures differ between processors, and the choice should not. */
const rounded = (noise: number): number => (Number.isFinite(noise) ? Number(noise.toPrecision(3)) : noise);

const digest = (data: unknown): string => createHash('sha256').update(JSON.stringify(data)).digest('hex');
