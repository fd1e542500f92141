/** The report as one page that holds all that it needs: it opens without a network, and says no more than its JSON. */
import { formatDecibels } from '../amounts.js';
import { type RacedLatency, worstOf } from '../pareto.js';
import type { RefusedTarget, Report, TargetReport } from '../report.js';
import type { SensitivityMap } from '../sensitivity.js';
import type { TrainingReport } from '../training.js';
import { comparison, type Named, scoreText } from './compare-section.js';
import { ledgerTable } from './ledger.js';
import { html, json, Markup } from './markup.js';
import { PAGE_SCRIPT } from './page-script.js';
import { fitted, leftOut, type Room, rowsWithin } from './room.js';
import { sensitivityMaps } from './sensitivity-section.js';
import { STYLE } from './style.js';
import { targetSection } from './target-section.js';
import { learningCurve } from './training-section.js';

/** What a page shows beside reports. */
export interface PageExtras {
  readonly sensitivity?: readonly SensitivityMap[];
  /** Trainings of models whose reports do not tell of them. */
  readonly training?: readonly TrainingReport[];
  /** Times that were raced for the page, by the report. */
  readonly latencies?: ReadonlyMap<TargetReport, RacedLatency>;
}

/**
 * The page for one report, or for several side by side: one HTML document. Where all would be too long for one, it leaves
 * out what is of least interest, and says what.
 */
export const reportPage = (given: Report | readonly Report[], extras: PageExtras = {}): string =>
  fitted((room) => pageWithin(given, extras, room));

function pageWithin(given: Report | readonly Report[], extras: PageExtras, room: Room): string {
  const reports = 'targets' in given ? [given] : given;
  const { sensitivity = [], training = [], latencies = new Map() } = extras;
  const all = reports
    .flatMap(({ targets }) => targets)
    .map((report, index): Named => ({ id: `target-${index}`, report }));
  const names = [...new Set(all.map(({ report }) => report.model))].join(', ');
  const versions = [...new Set(reports.map(({ quantc }) => quantc))].join(', ');
  const maps = sensitivityMaps(sensitivity);
  const curves = training.map((each) => html`<section><h2>Training</h2>${learningCurve(each)}</section>`);
  const sections = all.map(({ id, report }) => targetSection(report, id, room, latencies.get(report)));
  const refused = reports.flatMap((report) => report.refused ?? []);
  const data = json(
    'ledgers',
    ledgerTable(new Map(all.map(({ id, report }) => [id, rowsWithin(report.ledger, room)]))),
  );
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"><link rel="icon" href="data:,"><title>${names} · quantc</title><style>${new Markup(STYLE)}</style></head>
<body><header><h1>${names}</h1><nav>${all.map(brief)}${maps.text !== '' && html`<a href="#sensitivity">sensitivity</a>`}</nav></header><main>
${leftOut(
  all.map(({ report }) => report),
  room,
)}${comparison(all, latencies)}${refusals(refused)}${sections}${maps}${curves}</main><footer class="more">compiled by quantc ${versions}</footer>${data}<script>${new Markup(PAGE_SCRIPT)}</script></body></html>
`;
  return page.text;
}

/** A target in a line: how large it became, and how good. */
function brief({ id, report }: Named): Markup {
  const { target, shape, bytesBefore, bytesAfter, proof } = report;
  const worst = worstOf(proof.outputs);
  const { evaluation } = proof;
  const good =
    evaluation && evaluation.metric !== 'sqnr'
      ? scoreText(evaluation.metric, evaluation.quantized)
      : worst !== undefined &&
        formatDecibels(proof.outputs.every(({ sqnr }) => sqnr === null) ? null : worst);
  const failed = proof.status === 'failed' && html` <span class="tag poor">failed</span>`;
  return html`<a href="#${id}">${target}${shape !== undefined && `, ${shape}`} <b>${(bytesAfter / bytesBefore).toFixed(2)}×${good && ` · ${good}`}</b>${failed}</a>`;
}

function refusals(refused: readonly RefusedTarget[]): Markup {
  if (refused.length === 0) return html``;
  const list = refused.map(
    ({ target, code, message, hint }) =>
      html`<li>${target}: ${message} <code>${code}</code>${hint && html`<div class="more">${hint}</div>`}</li>`,
  );
  return html`<section><h2>Targets that refuse the model</h2><ul>${list}</ul></section>`;
}
