/** What one target's report says, as a section of the page. */
import { counted, formatBytes, formatDecibels } from '../amounts.js';
import type { RacedLatency } from '../pareto.js';
import type { BudgetFigure, TargetReport } from '../report.js';
import { type Bar, bars } from './bars.js';
import { scoreText } from './compare-section.js';
import { FULL, layerErrors, precisions, toneOf } from './error-section.js';
import { histograms } from './histograms.js';
import { ledgerPlace } from './ledger.js';
import { html, type Markup } from './markup.js';
import { pluginSection } from './plugin-section.js';
import { type Room, rowsWithin, withinRoom } from './room.js';
import { mixes } from './sensitivity-section.js';
import { learningCurve } from './training-section.js';

/** Rules that a verdict lists. */
const BREAKS = 50;

/** @param id unique on the page */
export function targetSection(given: TargetReport, id: string, room: Room, latency?: RacedLatency): Markup {
  const report = withinRoom(given, room);
  const shown = rowsWithin(given.ledger, room);
  const every = `Every node: ${given.ledger.length}${shown.length < given.ledger.length ? `, the ${shown.length} of most interest` : ''}`;
  const { model, target, shape, precision, ledger, training } = report;
  const raced = latency ?? report.budget?.latency;
  const ran = html`${precisions(ledger, room.cells)}${kernels(report)}${verdict(report)}`;
  return html`<section id="${id}"><h2>${model} → ${target}${shape !== undefined && `, ${shape}`}, ${precision}</h2>
<div class="cards">${size(report)}${score(report)}${outputs(report)}${raced && time(raced)}${proof(report)}${budget(report)}${next(report)}</div>
${fold('Who computes what', ran)}${fold('What layers lose', layerErrors(ledger, room.cells))}${fold('What calibration saw', histograms(report))}${fold('Mixes of precisions', mixes(report))}${fold('What plugins did', pluginSection(report))}${training && fold('How it was trained', learningCurve(training))}${fold(every, ledgerPlace(shown, id))}${notes(report)}</section>`;
}

/** A part that can be closed; nothing where it is empty. */
const fold = (title: string, content: Markup): Markup =>
  content.text === '' ? html`` : html`<details open><summary>${title}</summary>${content}</details>`;

const card = (title: string, content: Markup): Markup =>
  html`<div class="card"><h3>${title}</h3>${content}</div>`;

function size({ bytesBefore, bytesAfter, files }: TargetReport): Markup {
  const list = files.map(({ path, bytes }) => html`<div><code>${path}</code> ${formatBytes(bytes)}</div>`);
  return card(
    `Size: ${(bytesAfter / bytesBefore).toFixed(2)}× of float`,
    html`${bars([
      { label: 'float', value: bytesBefore, text: formatBytes(bytesBefore), tone: 'plain' },
      {
        label: 'compiled',
        value: bytesAfter,
        text: formatBytes(bytesAfter),
        tone: bytesAfter <= bytesBefore ? 'good' : 'poor',
      },
    ])}${list}`,
  );
}

function score({ proof: { evaluation } }: TargetReport): Markup {
  if (evaluation === undefined) return html``;
  const { metric, float, quantized, samples } = evaluation;
  const less = metric === 'perplexity';
  const text = (value: number): string => scoreText(metric, value);
  // The float model against itself has no noise: JSON holds no figure for that.
  const alone = metric === 'sqnr' || !Number.isFinite(float);
  const loss = less ? quantized - float : float - quantized;
  const tone = loss <= 0 ? 'good' : loss <= 0.01 * Math.abs(float) ? 'fair' : 'poor';
  const shown = alone
    ? bars([{ label: 'compiled', value: quantized, text: text(quantized), tone: toneOf(quantized) }], FULL)
    : bars([
        { label: 'float', value: float, text: text(float), tone: 'plain' },
        { label: 'compiled', value: quantized, text: text(quantized), tone },
      ]);
  return card(
    `Score: ${alone ? 'signal to noise' : metric}${less ? ' (less is better)' : ''}`,
    html`${shown}<div class="more">${counted(samples, 'sample')} that calibration never saw</div>`,
  );
}

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

function time({ float, ours }: RacedLatency): Markup {
  return card(
    `Time of one sample: ${(ours / float).toFixed(2)}× of float`,
    html`${bars([
      { label: 'float', value: float, text: `${float.toPrecision(3)} ms`, tone: 'plain' },
      {
        label: 'compiled',
        value: ours,
        text: `${ours.toPrecision(3)} ms`,
        tone: ours <= float ? 'good' : 'poor',
      },
    ])}<div class="more">medians, raced side by side on the machine that measured</div>`,
  );
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
  return card('Budget', html`<table>${given.figures.map(row)}</table>`);
}

/** The command of the method to go on with, where this one falls short. */
const next = ({ next: given }: TargetReport): Markup =>
  given === undefined
    ? html``
    : card('Falls short', html`<p>${given.because}</p><code>${given.command}</code>`);

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
  return html`<h4>What ${provider} takes</h4><p><span class="tag ${coverage === 1 ? 'good' : 'poor'}">${taken} of ${counted(nodes, 'node')}</span> in ${counted(partitions.length, 'piece')}</p>${
    rows.length > 0 &&
    html`<div class="wide"><table><thead><tr><th>node</th><th>operator</th><th>rule</th><th>why</th><th>mended by</th></tr></thead><tbody>${rows}</tbody></table></div>`
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
  return html`<h4>Kernels that run, as the executor tells</h4>${bars(list)}`;
}

function notes({ notes: all, remarks }: TargetReport): Markup {
  if (all.length + remarks.length === 0) return html``;
  const list = all.map(
    ({ level, code, message }) =>
      html`<li><span class="tag ${level === 'warning' ? 'fair' : ''}">${level}</span> ${message} <code>${code}</code></li>`,
  );
  return fold('Notes', html`<ul>${list}${remarks.map((each) => html`<li>${each}</li>`)}</ul>`);
}
