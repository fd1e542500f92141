/** What a compilation came to, for people. */
import { join } from 'node:path';
import { figureText } from '../compile/budget/figures.js';
import { REPORT_NAME } from '../compile.js';
import type { LedgerRow } from '../pipeline/ledger.js';
import type {
  ErrorFigures,
  Evaluation,
  PluginReport,
  RefusedTarget,
  TargetReport,
} from '../report/report.js';
import { columns } from './columns.js';
import { layerTable } from './layer-table.js';
import { tally } from './ledger-text.js';
import { mixText } from './mix-text.js';
import { counted, formatBytes, formatDecibels } from './quantity.js';
import { colours, heading } from './terminal.js';
import { coverageText, verdictText } from './verdict-text.js';
import { weightMixText } from './weight-mix-text.js';

/** Layers whose error is told. */
const WORST = 5;
/** Outputs with less signal than this want looking after. */
const POOR_DECIBELS = 15;
/** Layers with more signal than this are nobody's worry. */
const FINE_DECIBELS = 40;

/** The targets of an alias that have nothing for the model. */
export const refusals = (refused: readonly RefusedTarget[]): string =>
  `${section('Refused', columns(refused.map(({ target, code, message }) => [target, `${message} (${code})`])))}\n`;

/** Modules of bindings, each for every target. @param out folder that they are in, as the user gave it */
export const bindingsWritten = (paths: readonly string[], out: string): string =>
  `${section('Bindings', columns(paths.map((path) => [join(out, path)])))}\n`;

/** A paragraph or two on one target's report. @param out folder that the files are in, as the user gave it */
export function summary(report: TargetReport, out: string): string {
  const parts = [
    heading(
      `${report.model} → ${report.target}${report.shape ? ` (${report.shape})` : ''}, ${report.precision}`,
    ),
    columns([
      ['size', size(report)],
      ...(report.proof.evaluation ? [['score', score(report.proof.evaluation)]] : []),
      ...report.proof.outputs.map((output) => [`output ${output.name}`, closeness(output)]),
      ['proof', proof(report)],
      ['nodes', nodes(report.ledger)],
      ...(report.verdict ? [[report.verdict.provider, coverageText(report.verdict)]] : []),
      ['kernels', kernels(report)],
    ]),
  ];
  if (report.verdict && report.verdict.breaks.length > 0) parts.push(verdictText(report.verdict));
  if (report.budget)
    parts.push(section('Budget', columns(report.budget.figures.map((each) => [figureText(each)]))));
  if (report.mix && report.mix.front.length > 1)
    parts.push(section('Mixes of precisions', mixText(report.mix)));
  if (report.weightMix) parts.push(section('Bits of weights', weightMixText(report.weightMix)));
  if (report.plugins) parts.push(section('Plugins', columns(report.plugins.flatMap(pluginLines))));
  const left = report.ledger.filter(({ precision, reason }) => precision === 'float' && reason !== undefined);
  if (left.length > 0)
    parts.push(section('Left in float', tally(left.map((row) => [row.opType, row.reason!]))));
  const worst = worstLayers(report.ledger);
  if (worst.length > 0) {
    parts.push(section('Layers that lose most', layerTable(worst.map(named), report.ledger.map(named))));
  }
  const notes = [
    ...report.notes.map(({ level, code, message }) => [
      level === 'warning' ? colours.yellow(level) : level,
      `${message} (${code})`,
    ]),
    ...report.remarks.map((remark) => ['remark', remark]),
  ];
  if (notes.length > 0) parts.push(section('Notes', columns(notes)));
  parts.push(
    section(
      'Written',
      columns([...report.files.map(({ path }) => [join(out, path)]), [join(out, REPORT_NAME)]]),
    ),
  );
  return `${parts.join('\n')}\n`;
}

/** What each pass of a plugin did, and what else of it was used. */
function pluginLines({ plugin, passes, target, observer }: PluginReport): string[][] {
  const lines = passes.map(({ pass, changed, declined }) => [
    pass,
    `${counted(changed, 'change')}${declined > 0 ? `, ${declined} declined` : ''}`,
  ]);
  if (target !== undefined) lines.push(['target', target]);
  if (observer !== undefined) lines.push(['ranges', observer]);
  if (lines.length === 0) lines.push(['nothing', 'no pass of it runs here']);
  return lines.map((line) => [plugin, ...line]);
}

const section = (title: string, text: string): string => `${heading(title)}\n${text}`;

function size({ bytesBefore, bytesAfter, deflated }: TargetReport): string {
  const change = (before: number, after: number): string =>
    `${formatBytes(before)} → ${formatBytes(after)} (${(after / Math.max(1, before)).toFixed(2)}×)`;
  const whole = change(bytesBefore, bytesAfter);
  return deflated ? `${whole}; compressed ${change(deflated.before, deflated.after)}` : whole;
}

/** A metric with its unit. */
export function formatScore(metric: string, value: number | null): string {
  if (metric === 'top1') return `${((value ?? Number.NaN) * 100).toFixed(1)} %`;
  if (metric === 'sqnr') return formatDecibels(value);
  return (value ?? Number.NaN).toPrecision(5);
}

function score({ metric, samples, float, quantized }: Evaluation): string {
  const ours = formatScore(metric, quantized);
  const on = `on ${counted(samples, 'sample')}`;
  return metric === 'sqnr' ? `${ours} ${on}` : `${metric} ${formatScore(metric, float)} → ${ours} ${on}`;
}

function closeness({ sqnr, cosine, maxError, top1Agreement }: ErrorFigures): string {
  const parts = [sqnr === null ? 'equal bit for bit' : `SQNR ${formatDecibels(sqnr)}`];
  if (sqnr !== null) parts.push(`cosine ${cosine.toFixed(5)}`, `max error ${maxError.toPrecision(3)}`);
  if (top1Agreement !== undefined) parts.push(`top-1 agrees on ${(top1Agreement * 100).toFixed(1)} %`);
  return parts.join(', ');
}

function proof({ proof: { status, reason, samples, synthetic, executor } }: TargetReport): string {
  if (status !== 'passed') return colours.yellow(`${status}: ${reason}`);
  const feeds = `${counted(samples, synthetic ? 'random sample' : 'sample')}`;
  return `${colours.green('passed')}: ${executor} loads it, gives every kernel promised, compared on ${feeds}`;
}

function nodes(ledger: readonly LedgerRow[]): string {
  const counts = new Map<string, number>();
  for (const { precision } of ledger) counts.set(precision, (counts.get(precision) ?? 0) + 1);
  return [...counts].map(([precision, count]) => `${count} ${precision}`).join(', ') || 'none';
}

function kernels({ proof: { kernels: counts } }: TargetReport): string {
  const sorted = Object.entries(counts).sort(([, a], [, b]) => b - a);
  return sorted.map(([kernel, count]) => `${kernel} ${count}`).join(', ') || 'not read back';
}

const named = (row: LedgerRow) => ({ ...row, name: row.node });

function worstLayers(ledger: readonly LedgerRow[]): LedgerRow[] {
  return ledger
    .filter(({ precision, sqnr }) => precision !== 'float' && sqnr !== undefined && sqnr < FINE_DECIBELS)
    .sort((a, b) => a.sqnr! - b.sqnr!)
    .slice(0, WORST);
}

/** What to do with the files, and about what the report says of them. */
export function nextSteps(
  model: string,
  reports: readonly TargetReport[],
  out: string,
  given: { calib?: string; eval?: string },
): string {
  const steps: string[] = [];
  const first = reports[0]!;
  const data = given.eval ? ` --eval ${given.eval}` : given.calib ? ` --calib ${given.calib}` : '';
  const file = first.files[0]!.path;
  // Two models are compared in ONNX Runtime, which reads its own files alone.
  if (!file.endsWith('.tflite')) steps.push(`quantc compare ${model} ${join(out, file)}${data}`);
  if (!given.calib)
    steps.push(`quantc compile ${model} --calib <data>   static int8, with ranges from your data`);
  else if (!given.eval)
    steps.push(
      `quantc compile ${model} --calib ${given.calib} --eval <data>   scores both models on data of your own`,
    );
  if (first.ledger.some(({ precision, reason }) => precision === 'float' && reason)) {
    steps.push(
      `quantc explain ${model} --target ${first.target} --precision ${first.precision}   every node, and why`,
    );
  }
  const worst = worstLayers(first.ledger)[0]?.node;
  if (
    worst !== undefined &&
    first.next === undefined &&
    first.proof.outputs.some(({ sqnr }) => sqnr !== null && sqnr < POOR_DECIBELS)
  ) {
    steps.push(
      `quantc compile ${model} … --exclude '${worst}'   the outputs lie far off: keep the layer that loses most`,
    );
    steps.push(`quantc compile ${model} --precision int8-weights   or keep all of the arithmetic float`);
  }
  return section('Next', columns(steps.map((step) => [step])));
}

/** The last word: what a model that falls short wants next, a line a target. */
export const methodLines = (reports: readonly TargetReport[]): string =>
  reports
    .map(({ target, next }) =>
      next ? `${colours.yellow(`${target}: ${next.because}`)}; go on with: ${next.command}\n` : '',
    )
    .join('');
