/** Everything that the reports hold, side by side: a table, and what is the best for its size and its time. */
import { formatBytes, formatDecibels } from '../amounts.js';
import { frontOf, type RacedLatency, type Result, resultsOf, worstOf } from '../pareto.js';
import type { TargetReport } from '../report.js';
import { html, type Markup } from './markup.js';
import { type Axis, plain, plot } from './plot.js';

export interface Named {
  readonly id: string;
  readonly report: TargetReport;
}

type Latencies = ReadonlyMap<TargetReport, RacedLatency>;

/** @returns nothing where there is one result alone, and nothing to weigh it against */
export function comparison(all: readonly Named[], latencies: Latencies): Markup {
  const models = [...new Set(all.map(({ report }) => report.model))];
  const parts = models.map((model) => {
    const own = all.filter(({ report }) => report.model === model);
    return html`${models.length > 1 && html`<h3>${model}</h3>`}${own.length > 1 && table(own, latencies)}${fronts(own, latencies)}`;
  });
  return parts.every(({ text }) => text === '')
    ? html``
    : html`<section id="compare"><h2>What can be had for what</h2>${parts}</section>`;
}

function table(all: readonly Named[], latencies: Latencies): Markup {
  const timed = all.some(({ report }) => latencies.has(report) || report.budget?.latency);
  const taken = all.some(({ report }) => report.verdict);
  const rows = all.map(({ id, report }) => {
    const { target, shape, precision, bytesBefore, bytesAfter, proof, verdict } = report;
    const worst = worstOf(proof.outputs);
    const raced = latencies.get(report) ?? report.budget?.latency;
    const tone = proof.status === 'passed' ? 'good' : proof.status === 'failed' ? 'poor' : 'fair';
    return html`<tr><td><a href="#${id}">${target}${shape !== undefined && `, ${shape}`}</a></td><td>${precision}</td><td class="number">${formatBytes(bytesAfter)}</td><td class="number">${(bytesAfter / bytesBefore).toFixed(2)}×</td><td class="number">${proof.evaluation && scoreText(proof.evaluation.metric, proof.evaluation.quantized)}</td><td class="number">${worst === undefined ? '' : proof.outputs.every(({ sqnr }) => sqnr === null) ? formatDecibels(null) : formatDecibels(worst)}</td>${timed && html`<td class="number">${raced && timeText(raced)}</td>`}${taken && html`<td class="number">${verdict && `${verdict.taken} of ${verdict.nodes}`}</td>`}<td><span class="tag ${tone}">${proof.status}</span></td></tr>`;
  });
  return html`<div class="wide"><table><thead><tr><th>target</th><th>precision</th><th class="number">size</th><th class="number">of float</th><th class="number">score</th><th class="number">worst output</th>${timed && html`<th class="number">time of float’s</th>`}${taken && html`<th class="number">nodes taken</th>`}<th>proof</th></tr></thead><tbody>${rows}</tbody></table></div>`;
}

export const timeText = ({ float, ours }: RacedLatency): string =>
  `${(ours / float).toFixed(2)}× (${ours.toPrecision(3)} ms)`;

export const scoreText = (metric: string, value: number | null): string =>
  metric === 'sqnr' || value === null
    ? formatDecibels(value)
    : metric === 'top1'
      ? `${(100 * value).toFixed(2)} %`
      : String(Number(value.toPrecision(4)));

function fronts(all: readonly Named[], latencies: Latencies): Markup {
  const { quality, all: results } = resultsOf(
    all.map(({ report }) => report),
    latencies,
  );
  const up: Axis = {
    name: quality === 'sqnr' ? 'worst output, dB' : quality === 'top1' ? 'answers right, %' : 'perplexity',
    text: (value) => plain(quality === 'top1' ? 100 * value : Math.abs(value)),
    better: quality === 'perplexity' ? 'smaller' : 'larger',
  };
  const size: Axis = { name: 'size', text: formatBytes, logarithmic: true, better: 'smaller' };
  const time: Axis = {
    name: 'time, as a multiple of float',
    text: (value) => `${plain(value)}×`,
    better: 'smaller',
  };
  const drawn = [
    front(results, ({ bytes }) => bytes, size, up),
    front(results, (each) => each.time, time, up),
  ];
  const shown = drawn.filter(({ text }) => text !== '');
  if (shown.length === 0) return html``;
  const tried = results.some(({ kind }) => kind === 'tried');
  return html`<div class="plots">${shown}</div><p class="more">On the line: what nothing else beats.${tried && ' Small and pale: mixes that the search for a budget compiled and measured.'}</p>`;
}

function front(
  all: readonly Result[],
  costOf: (result: Result) => number | undefined,
  x: Axis,
  y: Axis,
): Markup {
  const known = all.filter((each) => costOf(each) !== undefined);
  if (known.length < 2) return html``;
  const best = frontOf(known, costOf);
  const points = known.map((each) => ({
    x: costOf(each)!,
    y: each.quality,
    title: `${each.name}: ${x.text(costOf(each)!)}, ${y.text(each.quality)}`,
    tone: each.kind === 'tried' ? ('faint' as const) : best.includes(each) ? ('chosen' as const) : undefined,
    ...(each.kind !== 'tried' && { label: each.name }),
  }));
  return plot({ x, y, points, line: best.map((each) => ({ x: costOf(each)!, y: each.quality })) });
}
