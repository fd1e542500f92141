/** What a compiled model comes to, in the terms of a budget. */
import type { DataSet } from '../../calibration/dataset.js';
import { QuantcError } from '../../errors/error.js';
import type { BudgetFigure, BudgetMeasure, Evaluation, TargetReport } from '../../report/report.js';
import type { MixReport } from '../../target/mix.js';
import type { Target } from '../../target/target.js';
import type { BudgetTerm } from './budget.js';

/** The figures of one compiled mix that budgets are about. */
export interface Measured {
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  readonly evaluation?: Evaluation;
  /** Least signal to noise of the outputs over the samples of the proof, in dB; null for none. */
  readonly sqnr: number | null;
  /** Median milliseconds of one inference, raced side by side. */
  readonly latency?: { readonly float: number; readonly ours: number };
  /** Share of nodes that the target's provider takes. */
  readonly coverage?: number;
  /** What the search found, where this compilation searched. */
  readonly mix?: MixReport;
  /** Bytes of weights whose bits were chosen one by one, and of the fewest and the most bits. */
  readonly weightMix?: { readonly bytes: number; readonly least: number; readonly most: number };
}

/**
 * Refuses budgets that the data cannot decide, before any long work.
 * @throws QuantcError E_BUDGET_DATA
 */
export function requireData(terms: readonly BudgetTerm[], evaluation: DataSet | undefined): void {
  const metric = evaluation && (evaluation.metric ?? (evaluation.labels ? 'top1' : 'sqnr'));
  for (const { metric: wanted, text } of terms) {
    if ((wanted !== 'top1' && wanted !== 'perplexity') || wanted === metric) continue;
    const found = metric === undefined ? 'there is no --eval' : `--eval is scored by ${metric}`;
    throw new QuantcError(
      'E_BUDGET_DATA',
      `the budget "${text}" needs data to score ${wanted} on: ${found}`,
      {
        kind: 'usage',
        place: { file: evaluation?.source },
        hint:
          wanted === 'top1'
            ? 'Give data with labels by --eval, or write the budget on sqnr, which needs none.'
            : 'Give token ids by --eval, with "metric": "perplexity" in the data.json.',
      },
    );
  }
}

/** @throws QuantcError E_BUDGET_TARGET for a budget on coverage where every node runs anyway */
export function requireProvider(terms: readonly BudgetTerm[], target: Target): void {
  const term = terms.find(({ metric }) => metric === 'coverage');
  if (term === undefined || target.provider !== undefined) return;
  throw new QuantcError(
    'E_BUDGET_TARGET',
    `the budget "${term.text}" says nothing of ${target.name}, which runs every node`,
    { kind: 'usage', hint: 'Coverage is what a mobile target takes; `quantc targets` lists them.' },
  );
}

/** A budget on signal to noise is searched for by it, unless there are others that follow the scores. */
export const asksForLikeness = (terms: readonly BudgetTerm[]): boolean =>
  terms.some(({ metric }) => metric === 'sqnr') &&
  !terms.some(({ metric }) => metric === 'top1' || metric === 'perplexity');

/** What budgets are about in a report. */
export function measuredOf(report: TargetReport, latency?: Measured['latency']): Measured {
  const { bytesBefore, bytesAfter, proof, mix, verdict, weightMix } = report;
  const outputs = proof.outputs.map(({ sqnr }) => sqnr ?? Number.POSITIVE_INFINITY);
  const least = Math.min(...outputs);
  return {
    bytesBefore,
    bytesAfter,
    ...(proof.evaluation && { evaluation: proof.evaluation }),
    sqnr: outputs.length === 0 ? Number.NaN : Number.isFinite(least) ? least : null,
    ...(latency && { latency }),
    ...(verdict && { coverage: verdict.coverage }),
    ...(mix && { mix }),
    ...(weightMix && { weightMix: { bytes: weightMix.bytes, least: weightMix.least, most: weightMix.most } }),
  };
}

/** What a report tells of a mix, whatever the budget is on. */
export const measureOf = ({ bytesAfter, sqnr, evaluation, latency }: Measured): BudgetMeasure => ({
  bytes: bytesAfter,
  sqnr,
  ...(evaluation && { score: evaluation.quantized }),
  ...(latency && { latency }),
});

/** Figures are rounded on their way into a report and out of a cache: a budget is not failed by the last digit. */
const SLACK = 1e-9;

/** Each term with what it comes to. */
export function figuresOf(terms: readonly BudgetTerm[], measured: Measured): BudgetFigure[] {
  return terms.map((term) => {
    const value = comesTo(term, measured);
    const met = term.bound === 'least' ? value >= term.limit - SLACK : value <= term.limit + SLACK;
    return { term: term.text, value: Number.isFinite(value) ? value : null, limit: term.limit, met };
  });
}

function comesTo({ metric, relative }: BudgetTerm, measured: Measured): number {
  const { evaluation } = measured;
  const against = (ours: number, float: number): number =>
    relative === 'times' ? ours / float : relative === 'change' ? ours / float - 1 : ours;
  switch (metric) {
    case 'top1':
      return evaluation!.quantized - (relative === 'change' ? evaluation!.float : 0);
    case 'perplexity':
      return against(evaluation!.quantized, evaluation!.float);
    case 'sqnr':
      // What was held out tells more than what calibration saw.
      return (
        (evaluation?.metric === 'sqnr' ? evaluation.quantized : measured.sqnr) ?? Number.POSITIVE_INFINITY
      );
    case 'size':
      return against(measured.bytesAfter, measured.bytesBefore);
    case 'latency':
      return against(measured.latency!.ours, measured.latency!.float);
    case 'coverage':
      return measured.coverage!;
  }
}

/** By how much figures miss their limits, all together: 0 when none does. */
export function missOf(figures: readonly BudgetFigure[]): number {
  return figures.reduce((sum, { value, limit, met }) => {
    if (met) return sum;
    const scale = Math.max(Math.abs(limit), 0.01);
    return sum + (value === null ? 10 : Math.abs(value - limit) / scale);
  }, 0);
}

/** One figure for a person: `top1>=-0.5%: -1.2 %`. */
export function figureText({ term, value, met }: BudgetFigure): string {
  return `${term}: ${valueText(term, value)}${met ? '' : ', not met'}`;
}

function valueText(term: string, value: number | null): string {
  if (value === null) return 'no figure';
  if (/^(?:top1|coverage)|%\s*$/i.test(term)) return `${(100 * value).toFixed(2)} %`;
  if (/x\s*$/i.test(term)) return `${value.toFixed(3)}x`;
  if (/^sqnr/i.test(term)) return `${value.toFixed(1)} dB`;
  if (/^size/i.test(term)) return `${Math.round(value)} bytes`;
  return /^latency/i.test(term) ? `${value.toPrecision(3)} ms` : value.toPrecision(5);
}
