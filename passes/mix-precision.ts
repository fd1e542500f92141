/**
 * Which nodes stay float for the sake of the outputs. Integers hurt few values of a model, and those few may cost little
 * time in float; which they are is measured, on whole models over calibration samples, and never guessed from the
 * layers themselves, whose own errors say little of what becomes of them (algorithms: HAWQ, AIMET's AMP).
 */
import {
  decibels,
  definePass,
  type MixGoal,
  type MixPoint,
  type Model,
  mixFact,
  mixGoalFact,
  type PassContext,
  type Plan,
  planFact,
  preciseFact,
  rangesFact,
} from '../src/index.js';
import { type Mix, mixOf, namesOf, type Step, stepNamed } from './mix-precision/mix.js';
import { Costs, frontOf, type Point, pruned, search, worthOf } from './mix-precision/search.js';
import { Trials } from './mix-precision/trials.js';
import { everyRange, unitsOf } from './mix-precision/units.js';

/** With this much signal to noise, in dB, integers answer well enough that nobody asks which nodes were better float. */
const GOOD = 30;
/** Most that `auto` may cost: this share of the time that all integers save. */
const MOST_COST = 0.5;
const STEPS = 16;
/** Source of the step that leaves nothing in integers. */
const EVERYTHING = 'everything';
/** Measurements after which no step is added. */
const AUTO_TRIALS = 160;
const FRONT_TRIALS = 320;

export const mixPrecision = definePass({
  name: 'mix-precision',
  doc: 'planned nodes whose integers cost the outputs much, and whose float arithmetic costs little time → float',
  needs: ['planned', 'calibrated'],
  async run(model, context) {
    const goal: MixGoal = mixGoalFact.find(context) ?? { kind: 'auto' };
    const base = planFact.get(context);
    if (base.nodes.size === 0) return;
    if (goal.kind === 'fixed') {
      const mix = mixOf(
        model,
        base,
        goal.steps.map((step) => stepNamed(step, model)),
      );
      return apply(context, base, mix, new Map());
    }
    const judge = await context.engine.judge?.(model);
    if (judge === undefined) return context.decline('no samples to measure mixes on');
    const bench = { model, plan: base, ranges: everyRange(base, rangesFact.get(context)), context };
    const most = goal.kind === 'auto' ? AUTO_TRIALS : FRONT_TRIALS;
    const trials = new Trials(bench, judge, (count) => context.engine.onSearch?.(Math.min(1, count / most)));
    context.engine.onSearch?.(0);
    const whole = mixOf(model, base, []);
    const start: Point = { mix: whole, noise: await trials.noise(whole) };
    const costs = new Costs(whole, unitsOf(base));
    const found =
      goal.kind === 'auto'
        ? await searchAuto(trials, start, costs)
        : await searchFront(trials, start, costs, goal.enough, model);
    context.engine.onSearch?.(1);
    const { chosen, gains } = found;
    mixFact.set(context, {
      metric: judge.metric,
      samples: judge.samples,
      trials: trials.count,
      front: found.front.map(pointOf),
      chosen: found.front.indexOf(chosen),
    });
    if (chosen.mix.steps.length === 0) return;
    context.ledger.note(
      'info',
      'mix',
      `${chosen.mix.steps.length} steps towards float: ${shown(start.noise)} → ${shown(chosen.noise)} ` +
        `(${judge.metric}) on ${judge.samples} calibration samples, for ${percent(costs.of(chosen.mix))} of what ` +
        'all integers are predicted to save',
    );
    apply(context, base, chosen.mix, gains);
  },
});

interface Found {
  readonly front: readonly Point[];
  readonly chosen: Point;
  readonly gains: ReadonlyMap<Step, number>;
}

async function searchAuto(trials: Trials, start: Point, costs: Costs): Promise<Found> {
  if (decibels(start.noise) >= GOOD) return { front: [start], chosen: start, gains: new Map() };
  const path = await search(trials, start, costs, {
    enough: 10 ** (-GOOD / 10),
    mostCost: MOST_COST,
    patience: 6,
    steps: STEPS,
    trials: AUTO_TRIALS,
    thorough: false,
  });
  const best = path.reduce((one, other) => (worthOf(other, costs) > worthOf(one, costs) ? other : one));
  const { point, gains } = await pruned(trials, best, costs);
  return {
    front: frontOf([...path.filter((each) => each !== best), point].sort(byCost(costs))),
    chosen: point,
    gains,
  };
}

const byCost =
  (costs: Costs) =>
  (a: Point, b: Point): number =>
    costs.of(a.mix) - costs.of(b.mix);

/** Down to the float model itself, whose end is always there. */
async function searchFront(
  trials: Trials,
  start: Point,
  costs: Costs,
  enough: number,
  model: Model,
): Promise<Found> {
  const path = await search(trials, start, costs, {
    enough: 10 ** (-enough / 10),
    mostCost: Number.POSITIVE_INFINITY,
    steps: 4 * STEPS,
    trials: FRONT_TRIALS,
    thorough: true,
  });
  const nodes = new Set(trials.bench.plan.nodes.keys());
  const all = mixOf(model, trials.bench.plan, [{ source: EVERYTHING, nodes, precise: nodes }]);
  path.push({ mix: all, noise: await trials.noise(all) });
  return { front: frontOf(path), chosen: start, gains: new Map() };
}

const pointOf = ({ mix, noise }: Point): MixPoint => ({
  steps: mix.steps.map(namesOf),
  integerNodes: mix.plan.nodes.size,
  decibels: noise === 0 ? null : decibels(noise),
  saving: Math.round(mix.saving),
  bytes: mix.bytes,
});

/** Makes the mix the plan, and says of every node that leaves it why. */
function apply(context: PassContext, base: Plan, mix: Mix, gains: ReadonlyMap<Step, number>): void {
  // A value whose giver turns float has a range of its own again, where it had another's, or that of the operator.
  rangesFact.set(context, everyRange(base, rangesFact.get(context)));
  planFact.set(context, mix.plan);
  preciseFact.set(context, mix.precise);
  for (const [node, { tail }] of base.nodes) {
    if (mix.plan.nodes.has(node)) continue;
    const step = mix.steps.find(({ nodes }) => nodes.has(node));
    const reason = step ? reasonOf(step, gains.get(step)) : mix.plan.declined.get(node)!;
    context.ledger.record(node, { precision: 'float', kernel: undefined, reason });
    context.changed(reason, node);
    if (tail)
      context.ledger.record(tail, {
        precision: 'float',
        kernel: undefined,
        reason: `${node.label} before it is float`,
      });
  }
}

/** @param gain dB that its float arithmetic brings the outputs; absent where a budget asked for it */
function reasonOf({ source, nodes, precise }: Step, gain: number | undefined): string {
  const why = gain === undefined ? 'for the budget' : `for ${gain.toFixed(1)} dB of the outputs`;
  if (source === EVERYTHING) return `kept float ${why}, as all nodes are`;
  const others = nodes.size > 1 ? `, with ${nodes.size - 1} more` : '';
  return `kept float ${why}${others}: what hurts is ${precise.size > 0 ? 'the weight' : 'the value'} ${source} in integers`;
}

const shown = (noise: number): string => (noise === 0 ? 'exact' : `${decibels(noise).toFixed(1)} dB`);
const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;
