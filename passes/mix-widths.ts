/**
 * Bits by what the outputs say, for executors that take graphs whole. Two choices are made the same way: which
 * activations of 8 bits are to have 16 (`mixed`), and which weights of 4 bits are to have 8 (`a16w4`). The noise of each
 * source of error is measured by itself, on whole models over calibration samples; the worst are given more bits until
 * what is left is little; then the whole mix is measured, and given more where the parts did not tell all.
 */
import {
  decibels,
  definePass,
  exclusionFact,
  type Judge,
  type Model,
  type Node,
  type PassContext,
  type Plan,
  planFact,
  planStatic,
  rangesFact,
  targetFact,
} from '../src/index.js';
import { isolate } from './mix-precision/isolate.js';
import { type Bench, quantizedBy, withUnits } from './mix-precision/trial.js';
import { everyRange, type Unit, unitsOf } from './mix-precision/units.js';
import { withFourBits } from './mix-widths/four-bits.js';

/**
 * Signal to noise in dB that is enough: beyond it more bits bring little that anybody sees. Nor is the last bit asked for:
 * the noise may be so many times what it is with all of the bits, more of them where few bits are what is wanted.
 */
const ENOUGH = { mixed: { decibels: 30, worse: 2 }, a16w4: { decibels: 20, worse: 8 } } as const;
/** Whole mixes that are measured at most. */
const ROUNDS = 4;

interface Choice {
  readonly units: readonly Unit[];
  /** Noise with these sources alone. */
  alone(units: readonly Unit[]): Promise<number>;
  /** The plan that gives more bits where these are. */
  plan(units: ReadonlySet<Unit>): Plan;
  readonly enough: { readonly decibels: number; readonly worse: number };
  readonly what: string;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

export const mixActivations = definePass({
  name: 'mix-activations',
  doc: 'activations of 8 bits that cost the outputs much → 16 bits, with conversions at the borders',
  needs: ['planned', 'calibrated'],
  run: (model, context) =>
    mix(model, context, (bench, judge) => ({
      units: unitsOf(bench.plan).filter(({ weight }) => !weight),
      alone: async (units) => sum(await judge.noise(withUnits(bench, units), { asWritten: true })),
      plan: (units) => {
        const wide = new Set([...units].flatMap(({ holders }) => holders.map(({ node }) => node)));
        const { wantsWide: already } = targetFact.get(context).activation;
        return planned(model, context, {
          wantsWide: (node) => already?.(node) || wide.has(node),
        });
      },
      enough: ENOUGH.mixed,
      what: 'values have 16 bits',
    })),
});

export const mixWeightBits = definePass({
  name: 'mix-weight-bits',
  doc: 'weights of 4 bits that cost the outputs much → 8 bits',
  needs: ['planned', 'calibrated'],
  run: (model, context) =>
    mix(model, context, (bench, judge) => ({
      units: unitsOf(bench.plan).filter(
        ({ weight, holders }) => weight && holders.some(({ weightBits }) => weightBits === 4),
      ),
      alone: async (units) => sum(await judge.noise(withFourBits(model, units), { asWritten: true })),
      plan: (units) => {
        const eight = new Set([...units].flatMap(({ holders }) => holders.map(({ node }) => node)));
        return planned(model, context, { wantsFour: (node) => !eight.has(node) });
      },
      enough: ENOUGH.a16w4,
      what: 'weights have 8 bits',
    })),
});

/** The plan of the target, asked for other bits. */
function planned(
  model: Model,
  context: PassContext,
  {
    wantsWide,
    wantsFour,
  }: { readonly wantsWide?: (node: Node) => boolean | string; readonly wantsFour?: (node: Node) => boolean },
): Plan {
  const target = targetFact.get(context);
  const asked = {
    ...target,
    activation: { ...target.activation, ...(wantsWide && { wantsWide }) },
    weight: { ...target.weight, ...(wantsFour && { wantsFour }) },
  };
  return planStatic(model.graph, asked, exclusionFact.find(context));
}

async function mix(
  model: Model,
  context: PassContext,
  choiceOf: (bench: Bench, judge: Judge) => Choice,
): Promise<void> {
  const base = planFact.get(context);
  const judge = base.nodes.size > 0 ? await context.engine.judge?.(model) : undefined;
  if (judge === undefined) return context.decline('no samples to measure bits on');
  const bench: Bench = { model, plan: base, ranges: everyRange(base, rangesFact.get(context)), context };
  const { units, alone, plan, enough, what } = choiceOf(bench, judge);
  const noiseOf = async (each: Plan): Promise<number> =>
    sum(await judge.noise(await quantizedBy(bench, { plan: each, precise: new Set() })));
  const start = await noiseOf(base);
  const all = new Set(units);
  // More than all of the bits bring is not to be had.
  const least = units.length === 0 ? start : await noiseOf(plan(all));
  const most = Math.max(10 ** (-enough.decibels / 10), enough.worse * least);
  if (start <= most) return note(context, `0 of ${units.length} ${what}`, [start]);
  // Sources that share less than a hundredth of what is allowed need not be told apart.
  const each = await isolate(units, most / 100, alone);
  const worst = [...each].sort(([, one], [, other]) => other - one);
  let [chosen, best, noise] = [all, plan(all), least];
  for (let round = 0, allowed = most - least; round < ROUNDS; round++, allowed /= 4) {
    const fewer = worstOf(worst, allowed);
    if (fewer.size === units.length) break;
    const candidate = plan(fewer);
    const found = await noiseOf(candidate);
    if (found > most) continue;
    [chosen, best, noise] = [fewer, candidate, found];
    break;
  }
  planFact.set(context, best);
  for (const { node, wide, weightBits } of best.nodes.values())
    context.ledger.refine(node, { precision: precisionOf(wide, weightBits) });
  note(context, `${chosen.size} of ${units.length} ${what}`, [start, noise, least]);
}

/** The worst sources, as many as leave no more noise than is allowed. */
function worstOf(worst: readonly (readonly [Unit, number])[], allowed: number): Set<Unit> {
  let left = sum(worst.map(([, noise]) => noise));
  const chosen = new Set<Unit>();
  for (const [unit, noise] of worst) {
    if (left <= allowed) break;
    chosen.add(unit);
    left -= noise;
  }
  return chosen;
}

/** As the ledger spells it. */
const precisionOf = (wide?: boolean, weightBits?: number): string =>
  wide ? `w${weightBits ?? 8}a16` : 'int8';

/** @param found noise with no more bits, with those chosen, and with all of them */
function note(context: PassContext, what: string, found: readonly number[]): void {
  const [before, after = before, all = after] = found.map((noise) =>
    noise === 0 ? 'exact' : `${decibels(noise).toFixed(1)} dB`,
  );
  const figures = found.length > 1 ? `${before} → ${after}, and ${all} with all` : before;
  context.ledger.note('info', 'bits', `${what}: ${figures} on calibration samples`);
}
