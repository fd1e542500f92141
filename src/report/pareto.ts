/** What can be had for what: every result that the reports hold as sizes, times and qualities, to be weighed. */
import type { TargetReport } from './report.js';

/** Median milliseconds of one sample, raced side by side on one machine. */
export interface RacedLatency {
  readonly float: number;
  readonly ours: number;
}

export interface Result {
  readonly name: string;
  readonly bytes: number;
  /** Larger is better, whatever the metric. */
  readonly quality: number;
  /** Milliseconds as a multiple of the float model's. */
  readonly time?: number;
  /** What was written; what a search for a budget tried beside it; or the float model. */
  readonly kind: 'written' | 'tried' | 'float';
}

/** What `quality` is: a score, or, where not every report has the same one, the signal to noise of the outputs. */
export type Quality = 'top1' | 'perplexity' | 'sqnr';

export interface Results {
  readonly quality: Quality;
  readonly all: readonly Result[];
}

/** Beyond this, differences of signal to noise are those of float arithmetic itself. */
const MOST_DECIBELS = 60;

/**
 * Results of one model. Scores of held-out data where each report has one by the same metric, else decibels.
 * @param latencies of the reports that were raced, by their places in the list
 */
export function resultsOf(
  reports: readonly TargetReport[],
  latencies: ReadonlyMap<TargetReport, RacedLatency> = new Map(),
): Results {
  const metrics = new Set(reports.map(({ proof }) => proof.evaluation?.metric));
  const [metric] = metrics;
  const quality = metrics.size === 1 && (metric === 'top1' || metric === 'perplexity') ? metric : 'sqnr';
  const all: Result[] = [];
  const add = (result: Omit<Result, 'quality'>, value: number | undefined): void => {
    if (value !== undefined && Number.isFinite(value))
      all.push({ ...result, quality: quality === 'perplexity' ? -value : value });
  };
  for (const report of reports) {
    const { target, shape, precision, bytesAfter, proof, budget } = report;
    const name = [target, shape, precision].filter((each) => each !== undefined).join(', ');
    const raced = latencies.get(report) ?? budget?.latency;
    const time = raced && { time: raced.ours / raced.float };
    const found = quality === 'sqnr' ? worstOf(proof.outputs) : proof.evaluation!.quantized;
    add({ name, bytes: bytesAfter, kind: 'written', ...time }, found);
    for (const { point, measured } of budget?.tried ?? []) {
      // What was kept is there already.
      if (measured === undefined || measured.bytes === bytesAfter) continue;
      const value = quality === 'sqnr' ? (measured.sqnr ?? MOST_DECIBELS) : measured.score;
      const own = measured.latency && { time: measured.latency.ours / measured.latency.float };
      add(
        { name: `${name}, mix ${point} that was tried`, bytes: measured.bytes, kind: 'tried', ...own },
        value,
      );
    }
  }
  const [first] = reports;
  if (quality !== 'sqnr' && first !== undefined)
    add({ name: 'float', bytes: first.bytesBefore, kind: 'float', time: 1 }, first.proof.evaluation!.float);
  return { quality, all };
}

/** Least signal to noise of the outputs; undefined where none was compared. */
export function worstOf(outputs: TargetReport['proof']['outputs']): number | undefined {
  if (outputs.length === 0) return undefined;
  return outputs.reduce((least, { sqnr }) => Math.min(least, sqnr ?? MOST_DECIBELS), MOST_DECIBELS);
}

/** Those that no other result beats: cheaper and as good, or better for the same. From the cheapest on. */
export function frontOf(all: readonly Result[], costOf: (result: Result) => number | undefined): Result[] {
  const known = all.filter((each) => costOf(each) !== undefined);
  const byCost = known.toSorted((a, b) => costOf(a)! - costOf(b)! || b.quality - a.quality);
  let best = Number.NEGATIVE_INFINITY;
  return byCost.filter(({ quality }) => {
    if (quality <= best) return false;
    best = quality;
    return true;
  });
}
