/** What one target's report says, as a section of the page. */
import type { LedgerRow } from '../../pipeline/ledger.js';
import { counted, formatBytes, formatDecibels } from '../amounts.js';
import type { BudgetFigure, TargetReport } from '../report.js';
import { type Bar, bars, front } from './bars.js';
import { html, json, type Markup } from './markup.js';

/** Layers whose error is drawn. */
const WORST = 30;
/** Rules that a verdict lists. */
const BREAKS = 50;

/** @param id unique on the page */
export function targetSection(report: TargetReport, id: string): Markup {
  return html`<section id="${id}"><h2>${report.model} → ${report.target}, ${report.precision}</h2>
<div class="cards">${size(report)}${score(report)}${outputs(report)}${proof(report)}</div>
${budget(report)}${mix(report)}${verdict(report)}${kernels(report)}${layers(report.ledger)}${ledger(report, id)}${notes(report)}</section>`;
}

const card = (title: string, content: Markup): Markup =>
  html`<div class="card"><h3>${title}</h3>${content}</div>`;

function size({ bytesBefore, bytesAfter, files }: TargetReport): Markup {
  const list = files.map(({ path, bytes }) => html`<div><code>${path}</code> ${formatBytes(bytes)}</div>`);
  return card(
    'Size',
    html`${bars([
      { label: 'float', value: bytesBefore, text: formatBytes(bytesBefore), tone: 'plain' },
      {
        label: 'compiled',
        value: bytesAfter,
        text: `${formatBytes(bytesAfter)} (${(bytesAfter / bytesBefore).toFixed(2)}×)`,
        tone: bytesAfter <= bytesBefore ? 'good' : 'poor',
      },
    ])}${list}`,
  );
}

function score({ proof: { evaluation } }: TargetReport): Markup {
  if (evaluation === undefined) return html``;
  const { metric, float, quantized, samples } = evaluation;
  const less = metric === 'perplexity';
  const loss = less ? quantized - float : float - quantized;
  const tone = loss <= 0 ? 'good' : loss <= 0.01 * Math.abs(float) ? 'fair' : 'poor';
  const text = (value: number) =>
    metric === 'top1' ? `${(100 * value).toFixed(2)} %` : String(Number(value.toPrecision(4)));
  return card(
    `Score: ${metric}${less ? ' (less is better)' : ''}`,
    html`${bars([
      { label: 'float', value: float, text: text(float), tone: 'plain' },
      { label: 'compiled', value: quantized, text: text(quantized), tone },
    ])}<div class="more">${counted(samples, 'sample')} that calibration never saw</div>`,
  );
}

/** More signal than this is nobody's worry; less than the second wants looking after. In dB. */
const FINE = 30;
const POOR = 15;
const toneOf = (sqnr: number | null): Bar['tone'] =>
  sqnr === null || sqnr >= FINE ? 'good' : sqnr >= POOR ? 'fair' : 'poor';
/** Beyond this bars do not grow: float32 itself rounds so. */
const FULL = 60;

function outputs({ proof: { outputs: all, elsewhere = [] } }: TargetReport): Markup {
  if (all.length === 0) return html``;
  const barOf = (
    { name, sqnr }: { readonly name: string; readonly sqnr: number | null },
    where = '',
  ): Bar => ({
    label: `${name}${where}`,
    value: sqnr ?? FULL,
    text: formatDecibels(sqnr),
    tone: toneOf(sqnr),
  });
  const rest = elsewhere.flatMap(({ executor, outputs: there }) =>
    there.map((each) => barOf(each, ` on ${executor}`)),
  );
  return card('Outputs against float', bars([...all.map((each) => barOf(each)), ...rest], FULL));
}

function proof({ proof: { status, reason, executor, samples, synthetic, broken } }: TargetReport): Markup {
  const tone = status === 'passed' ? 'good' : status === 'failed' ? 'poor' : 'fair';
  const lost = broken.map(
    ({ node, promised, found }) =>
      html`<div><code>${node}</code>: ${promised} promised, ${found} found</div>`,
  );
  return card(
    'Proof',
    html`<span class="tag ${tone}">${status}</span> on ${executor}${reason && `: ${reason}`}<div class="more">${counted(samples, 'sample')}${synthetic && ', random for want of data'}</div>${lost}`,
  );
}

function budget({ budget: given }: TargetReport): Markup {
  if (given === undefined) return html``;
  const row = ({ term, value, met }: BudgetFigure) =>
    html`<tr><td><code>${term}</code></td><td class="number">${value === null ? 'exact' : Number(value.toPrecision(4))}</td><td><span class="tag ${met ? 'good' : 'poor'}">${met ? 'met' : 'not met'}</span></td></tr>`;
  return html`<h3>Budget</h3><table>${given.figures.map(row)}</table>`;
}

function mix({ mix: found }: TargetReport): Markup {
  if (found === undefined || found.front.length < 2) return html``;
  const points = found.front.map(({ decibels, saving, integerNodes }, index) => ({
    x: saving / 1000,
    y: decibels ?? Number.NaN,
    chosen: index === found.chosen,
    title: `${counted(integerNodes, 'node')} in integers, ${formatDecibels(decibels)}, ${(saving / 1000).toFixed(0)} µs saved`,
  }));
  const of = found.metric === 'kl' ? 'scores' : 'outputs';
  return html`<h3>Mixes of precisions</h3>${front(points, 'microseconds saved, by the cost table', `signal to noise of the ${of}, dB`)}`;
}

function verdict({ verdict: told }: TargetReport): Markup {
  if (told === undefined) return html``;
  const { provider, nodes, taken, coverage, partitions, breaks } = told;
  const rows = breaks
    .slice(0, BREAKS)
    .map(
      ({ node, op, rule, reason, source, mend }) =>
        html`<tr><td class="name">${node}</td><td>${op}</td><td>${rule}</td><td>${reason}<div class="more">${source}</div></td><td>${mend}</td></tr>`,
    );
  const more =
    breaks.length > BREAKS && html`<p class="more">and ${breaks.length - BREAKS} more in the report</p>`;
  return html`<h3>What ${provider} takes</h3><p><span class="tag ${coverage === 1 ? 'good' : 'poor'}">${taken} of ${counted(nodes, 'node')}</span> in ${counted(partitions.length, 'piece')}</p>${
    rows.length > 0 &&
    html`<table><tr><th>node</th><th>operator</th><th>rule</th><th>why</th><th>mended by</th></tr>${rows}</table>`
  }${more}`;
}

function kernels({ proof: { kernels: counts } }: TargetReport): Markup {
  const all = Object.entries(counts).sort(([, a], [, b]) => b - a);
  if (all.length === 0) return html``;
  const list = all.map(
    ([label, value]): Bar => ({
      label,
      value,
      text: String(value),
      tone: label.startsWith('cpu:') ? 'fair' : 'plain',
    }),
  );
  return html`<h3>Kernels that run</h3>${bars(list)}`;
}

function layers(rows: readonly LedgerRow[]): Markup {
  const measured = rows.filter(
    (row): row is LedgerRow & { readonly sqnr: number } => typeof row.sqnr === 'number',
  );
  if (measured.length === 0) return html``;
  const worst = [...measured].sort((a, b) => a.sqnr - b.sqnr).slice(0, WORST);
  const list = worst.map(
    ({ node, opType, sqnr, suggestion, precision }): Bar => ({
      label: node,
      value: sqnr,
      text: formatDecibels(sqnr),
      tone: toneOf(sqnr),
      title: [`${opType}, ${precision}`, suggestion?.text].filter(Boolean).join(': '),
    }),
  );
  const title =
    measured.length > WORST
      ? `The ${WORST} layers that lose most, of ${measured.length}`
      : 'What layers lose';
  return html`<h3>${title}</h3>${bars(list, FULL)}`;
}

const COLUMNS = ['node', 'operator', 'precision', 'kernel', 'dB', 'bytes before', 'bytes after', 'why'];

function ledger({ ledger: rows }: TargetReport, id: string): Markup {
  const data = rows.map(
    ({ node, graph, opType, precision, kernel, sqnr, bytesBefore, bytesAfter, reason, suggestion }) => [
      graph === '' ? node : `${graph}/${node}`,
      opType,
      precision,
      kernel ?? '',
      sqnr ?? null,
      bytesBefore ?? null,
      bytesAfter ?? null,
      [reason, suggestion?.text].filter(Boolean).join('; '),
    ],
  );
  const precisions = [...new Set(rows.map(({ precision }) => precision))];
  const buttons = precisions.map((each) => html`<button type="button" value="${each}">${each}</button>`);
  return html`<h3>Every node</h3><div data-ledger="${id}-ledger"><div class="search"><input type="search" placeholder="node, operator, reason …" aria-label="search the nodes">${buttons}<button type="button" value="">all</button><span class="count"></span></div><div class="scroll"><table><thead><tr></tr></thead><tbody></tbody></table></div></div>${json(`${id}-ledger`, { columns: COLUMNS, rows: data })}`;
}

function notes({ notes: all, remarks }: TargetReport): Markup {
  if (all.length + remarks.length === 0) return html``;
  const list = all.map(
    ({ level, code, message }) =>
      html`<li><span class="tag ${level === 'warning' ? 'fair' : ''}">${level}</span> ${message} <code>${code}</code></li>`,
  );
  return html`<h3>Notes</h3><ul>${list}${remarks.map((each) => html`<li>${each}</li>`)}</ul>`;
}
