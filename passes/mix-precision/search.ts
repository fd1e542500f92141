/**
 * From all integers towards float, a step at a time, each step where it takes away most noise for what it costs. Noise
 * of single sources adds up nearly enough to choose steps by; what each step really came to is measured.
 */
import { decibels } from '../../src/index.js';
import { isolate } from './isolate.js';
import { type Mix, mixOf, type Step, savingWithout, stepAgainst, unitsLeft } from './mix.js';
import type { Trials } from './trials.js';
import { type Unit, unitsOf } from './units.js';

/** A mix and the noise that was measured of it, over all feeds. */
export interface Point {
  readonly mix: Mix;
  readonly noise: number;
}

export interface SearchOptions {
  /** Noise that is little enough: the path ends there. */
  readonly enough: number;
  /** Most that a mix may cost, as {@link Costs} counts it. */
  readonly mostCost: number;
  /** The path ends when points have become worse than the best by this many dB, at {@link PRICE} of cost each. */
  readonly patience?: number;
  readonly steps: number;
  /** Measurements after which no further step is taken, those that were known before included. */
  readonly trials: number;
  /** Whether sources too small to matter at first are told apart once the large ones are gone. */
  readonly thorough: boolean;
}

/** What a mix costs: the share of the saved time that it loses, and the share by which the weights grow. */
export class Costs {
  readonly #whole: number;
  readonly #weights: number;

  constructor(whole: Mix, units: readonly Unit[]) {
    this.#whole = whole.saving;
    this.#weights = units.reduce((sum, { weight }) => sum + (weight?.value.constant?.count ?? 0), 0);
  }

  of({ saving, bytes }: { saving: number; bytes: number }): number {
    return (this.#whole - saving) / Math.max(1, this.#whole) + bytes / Math.max(1, this.#weights);
  }
}

/** Decibels that are worth losing all of the saving. */
export const PRICE = 25;

/** A mix's signal to noise, less what it costs. */
export const worthOf = ({ mix, noise }: Point, costs: Costs): number =>
  decibels(Math.max(noise, 1e-12)) - PRICE * costs.of(mix);

/** Sources below this share of the whole noise are not told apart at first; then below ever smaller ones. */
const FLOOR = 0.03;
const FINER = 0.25;
const LEAST_FLOOR = 1e-4;
/** Steps that cost next to nothing are ranked by what they bring. */
const LEAST_COST = 1e-3;

/**
 * The path from the whole plan towards float: every point has more float in it than the one before. The first is the
 * whole plan.
 */
export async function search(
  trials: Trials,
  start: Point,
  costs: Costs,
  options: SearchOptions,
): Promise<Point[]> {
  const { model, plan } = trials.bench;
  const units = unitsOf(plan);
  const path = [start];
  let share = FLOOR;
  let noises = await isolate(units, start.noise * share, (group) => trials.unitNoise(group));
  let best = worthOf(start, costs);
  while (path.length <= options.steps && trials.count < options.trials) {
    const { mix, noise } = path.at(-1)!;
    if (noise <= options.enough || mix.plan.nodes.size === 0) break;
    const ranked = rank(mix, units, noises, start.noise * share, costs, trials);
    const next = ranked
      .map((step) => mixOf(model, plan, [...mix.steps, step]))
      .find((each) => costs.of(each) <= options.mostCost);
    if (next === undefined) {
      if (!options.thorough || share < LEAST_FLOOR) break;
      share *= FINER;
      noises = await isolate(units, start.noise * share, (group) => trials.unitNoise(group));
      continue;
    }
    const point = { mix: next, noise: await trials.noise(next) };
    path.push(point);
    const worth = worthOf(point, costs);
    if (options.patience !== undefined && worth < best - options.patience) break;
    best = Math.max(best, worth);
  }
  return path;
}

/** Steps against the sources that are left, the best first. */
function rank(
  mix: Mix,
  units: readonly Unit[],
  noises: ReadonlyMap<Unit, number>,
  floor: number,
  costs: Costs,
  { bench }: Trials,
): Step[] {
  const paid = costs.of(mix);
  return unitsLeft(mix, units)
    .filter((unit) => noises.get(unit)! >= floor)
    .map((unit) => {
      const step = stepAgainst(unit, bench.plan);
      const saving = savingWithout(mix.plan, step.nodes);
      const bytes = mix.bytes + (unit.weight?.value.constant?.count ?? 0);
      const cost = Math.max(costs.of({ saving, bytes }) - paid, LEAST_COST);
      return { step, worth: noises.get(unit)! / cost };
    })
    .sort((a, b) => b.worth - a.worth)
    .map(({ step }) => step);
}

/** Points that have less noise than all before them. */
export function frontOf(path: readonly Point[]): Point[] {
  const front: Point[] = [];
  for (const point of path) if (front.length === 0 || point.noise < front.at(-1)!.noise) front.push(point);
  return front;
}

/**
 * The point without the steps that bring nothing: each is taken back by itself, the latest first.
 * @returns the point that is left, and by its steps how many dB each of them brings
 */
export async function pruned(
  trials: Trials,
  point: Point,
  costs: Costs,
): Promise<{ point: Point; gains: Map<Step, number> }> {
  const { model, plan } = trials.bench;
  let best = point;
  const gains = new Map<Step, number>();
  for (const step of point.mix.steps.toReversed()) {
    const mix = mixOf(
      model,
      plan,
      best.mix.steps.filter((each) => each !== step),
    );
    const without = { mix, noise: await trials.noise(mix) };
    if (worthOf(without, costs) >= worthOf(best, costs)) best = without;
    else gains.set(step, decibels(best.noise) - decibels(without.noise));
  }
  return { point: best, gains };
}
