/** The report as one page that holds all that it needs: it opens without a network, and says no more than its JSON. */
import { formatBytes } from '../amounts.js';
import type { Report, TargetReport } from '../report.js';
import { LEDGER_SCRIPT } from './ledger-script.js';
import { html, Markup } from './markup.js';
import { STYLE } from './style.js';
import { targetSection } from './target-section.js';

/** The page for a report: one HTML document. */
export function reportPage({ quantc, targets }: Report): string {
  const names = [...new Set(targets.map(({ model }) => model))].join(', ');
  const sections = targets.map((report, index) => targetSection(report, idOf(index)));
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"><link rel="icon" href="data:,"><title>${names} · quantc</title><style>${new Markup(STYLE)}</style></head>
<body><h1>${names}</h1><p class="more">compiled by quantc ${quantc}</p>
${targets.length > 1 && overview(targets)}${sections}<script>${new Markup(LEDGER_SCRIPT)}</script></body></html>
`;
  return page.text;
}

const idOf = (index: number): string => `target-${index}`;

function overview(targets: readonly TargetReport[]): Markup {
  const rows = targets.map(({ target, precision, bytesAfter, proof, verdict }, index) => {
    const { evaluation, outputs } = proof;
    const worst = outputs
      .map(({ sqnr }) => sqnr ?? Number.POSITIVE_INFINITY)
      .reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
    return html`<tr><td><a href="#${idOf(index)}">${target}</a></td><td>${precision}</td><td class="number">${formatBytes(bytesAfter)}</td><td class="number">${evaluation && Number(evaluation.quantized.toPrecision(4))}</td><td class="number">${Number.isFinite(worst) ? worst.toFixed(1) : 'exact'}</td><td>${verdict && `${verdict.taken} of ${verdict.nodes}`}</td><td>${proof.status}</td></tr>`;
  });
  return html`<table><tr><th>target</th><th>precision</th><th class="number">size</th><th class="number">score</th><th class="number">worst output, dB</th><th>taken</th><th>proof</th></tr>${rows}</table>`;
}
