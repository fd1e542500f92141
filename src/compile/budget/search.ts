/**
 * The least float that meets a budget. The order in which nodes turn float comes from the search on calibration data;
 * how far to go along it is decided by compiling mixes whole and measuring what comes out, halving the way each time.
 */
import { QuantcError } from '../../errors/error.js';
import type { BudgetFigure, BudgetReport, TargetReport } from '../../report/report.js';
import type { MixGoal, MixReport } from '../../target/mix.js';
import { causeOf } from '../../target/verdict.js';
import type { BudgetTerm } from './budget.js';
import { figuresOf, figureText, type Measured, measuredOf, measureOf, missOf } from './figures.js';

export interface BudgetSearch {
  readonly terms: readonly BudgetTerm[];
  /** Figures of the model compiled towards a goal, known ones from the cache. */
  measure(goal: MixGoal): Promise<Measured>;
  /** The model compiled towards a goal, for good. */
  keep(goal: MixGoal): Promise<TargetReport>;
}

interface Candidate {
  readonly point: number;
  readonly goal: MixGoal;
  readonly measured: Measured;
  readonly figures: readonly BudgetFigure[];
}

/** Signal to noise beyond which a search for labels' sake need not go, and what it goes beyond a limit that is given. */
const ENOUGH = 40;
const BEYOND = 4;

/**
 * Compiles the mix that meets the budget with the least float.
 * @throws QuantcError E_BUDGET of kind `proof` when none does, telling how near the nearest comes
 */
export async function meetBudget({ terms, measure, keep }: BudgetSearch): Promise<TargetReport> {
  const tried = new Map<number, Candidate>();
  const first = await tryGoal({ kind: 'front', enough: enoughFor(terms) }, 0);
  const mix = first.measured.mix;
  const front = mix?.front ?? [];
  const chosen = await choose();
  if (chosen === undefined) throw failed(terms, [...tried.values()], mix);
  const report = await keep(chosen.goal);
  const budget: BudgetReport = {
    figures: chosen.figures,
    tried: [...tried.values()]
      .map(({ point, figures, measured }) => ({ point, figures, measured: measureOf(measured) }))
      .sort((a, b) => a.point - b.point),
    ...(chosen.measured.latency && { latency: chosen.measured.latency }),
  };
  return {
    ...report,
    ...(mix && { mix: { ...mix, chosen: chosen.point } }),
    budget,
    notes: [
      ...report.notes,
      { level: 'info', code: 'budget', message: howFound(tried.size, chosen, report, mix) },
    ],
  };

  async function tryGoal(goal: MixGoal, point: number): Promise<Candidate> {
    const measured = await measure(goal);
    const candidate = { point, goal, measured, figures: figuresOf(terms, measured) };
    tried.set(point, candidate);
    return candidate;
  }

  async function choose(): Promise<Candidate | undefined> {
    if (isAccurate(first)) return isMet(first) ? first : undefined;
    let low = 0;
    let high = front.length;
    let found: Candidate | undefined;
    for (let at = firstGuess(terms, front); low < high - 1; at = (low + high) >> 1) {
      const probe = Math.min(Math.max(at, low + 1), high - 1);
      const candidate = await tryGoal({ kind: 'fixed', steps: front[probe]!.steps }, probe);
      if (isAccurate(candidate)) {
        high = probe;
        found = candidate;
      } else low = probe;
    }
    if (found && isMet(found)) return found;
    // Figures do not rise evenly along the way, and times are noisy: whatever was seen to meet all is good.
    return [...tried.values()].filter(isMet).sort((a, b) => a.point - b.point)[0];
  }

  function isAccurate({ figures }: Candidate): boolean {
    return terms.every(
      ({ bound, metric }, at) =>
        figures[at]!.met || metric === 'coverage' || (bound === 'most' && metric !== 'perplexity'),
    );
  }
}

/**
 * A budget on coverage alone, which one compilation meets or misses.
 * @throws QuantcError E_BUDGET of kind `proof`, with the first rule that is broken
 */
export function keepCovered(terms: readonly BudgetTerm[], report: TargetReport): TargetReport {
  const figures = figuresOf(terms, measuredOf(report));
  if (figures.every(({ met }) => met))
    return { ...report, budget: { figures, tried: [{ point: 0, figures }] } };
  const first = report.verdict && causeOf(report.verdict);
  throw new QuantcError(
    'E_BUDGET',
    `${figures.map(figureText).join('; ')}. The first that is left: ${first?.op} ${first?.node} breaks ${first?.rule}, ${first?.reason}`,
    {
      kind: 'proof',
      place: { node: first?.node },
      hint: `Nothing was written. \`quantc explain --target ${report.target}\` lists every rule that is broken, and what mends it.`,
    },
  );
}

const isMet = ({ figures }: Candidate): boolean => figures.every(({ met }) => met);

function enoughFor(terms: readonly BudgetTerm[]): number {
  const wanted = terms.map(({ metric, limit }) => (metric === 'sqnr' ? limit + BEYOND : ENOUGH));
  return Math.max(...wanted, 0);
}

/** Where the search's own figures say that a limit on signal to noise is met; else in the middle. */
function firstGuess(terms: readonly BudgetTerm[], front: MixReport['front']): number {
  const sqnr = terms.find(({ metric }) => metric === 'sqnr');
  if (sqnr === undefined) return front.length >> 1;
  const at = front.findIndex(({ decibels }) => (decibels ?? Number.POSITIVE_INFINITY) >= sqnr.limit + 0.5);
  return at < 0 ? front.length - 1 : at;
}

function howFound(
  tried: number,
  chosen: Candidate,
  report: TargetReport,
  mix: MixReport | undefined,
): string {
  const evaluation = report.proof.evaluation;
  const scored = evaluation ? ` and scored on the ${evaluation.samples} samples of ${evaluation.source}` : '';
  const figures = chosen.figures.map(figureText).join('; ');
  if (tried === 1) return `met by the first that was compiled${scored}: ${figures}`;
  return (
    `${figures}. The mixes come from a search on ${mix?.samples ?? 0} calibration samples (${mix?.metric}); ${tried} ` +
    `of them were compiled${scored}, and this one was chosen by those very figures`
  );
}

function failed(
  terms: readonly BudgetTerm[],
  tried: readonly Candidate[],
  mix: MixReport | undefined,
): QuantcError {
  const nearest = tried.reduce((best, each) => (missOf(each.figures) < missOf(best.figures) ? each : best));
  const rows = tried
    .toSorted((a, b) => a.point - b.point)
    .map(({ point, figures }) => `  ${describe(point, mix)}: ${figures.map(figureText).join('; ')}`);
  return new QuantcError(
    'E_BUDGET',
    `no mix of precisions meets ${terms.map(({ text }) => text).join(' and ')}; the nearest is that with ` +
      `${describe(nearest.point, mix)}. What was compiled and measured:\n${rows.join('\n')}`,
    {
      kind: 'proof',
      hint: 'Nothing was written. Loosen the limit that is not met, or give more calibration data.',
    },
  );
}

function describe(point: number, mix: MixReport | undefined): string {
  const found = mix?.front[point];
  if (found === undefined) return 'the precision asked for';
  if (point === 0) return 'all integers';
  if (found.integerNodes === 0) return 'all float';
  return `${mix!.front[0]!.integerNodes - found.integerNodes} of ${mix!.front[0]!.integerNodes} nodes float`;
}
