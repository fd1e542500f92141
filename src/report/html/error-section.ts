/** Where along the network the error comes in: every layer in a band, and the worst by name. */
import type { LedgerRow } from '../../pipeline/ledger.js';
import { counted, formatDecibels } from '../amounts.js';
import { type Bar, bars } from './bars.js';
import { html, type Markup } from './markup.js';
import { strip } from './strip.js';

/** Layers whose error is told by name. */
const WORST = 30;
/** More signal than this is nobody's worry; less than the second wants looking after. In dB. */
const FINE = 30;
const POOR = 15;
/** Beyond this bars do not grow: float32 itself rounds so. */
export const FULL = 60;

export const toneOf = (sqnr: number | null): Bar['tone'] =>
  sqnr === null || sqnr >= FINE ? 'good' : sqnr >= POOR ? 'fair' : 'poor';

/** Height of a layer that loses nothing, as a share of the band. */
const LEAST = 0.04;

/**
 * @param most cells of the band
 * @returns nothing where no layer was compared
 */
export function layerErrors(rows: readonly LedgerRow[], most: number): Markup {
  const measured = rows.filter(
    // Where nothing differs JSON holds no figure.
    (row): row is LedgerRow & { readonly sqnr: number } =>
      typeof row.sqnr === 'number' && Number.isFinite(row.sqnr),
  );
  if (measured.length === 0) return html``;
  const cells = measured.map(({ node, opType, precision, sqnr }) => ({
    tone: toneOf(sqnr),
    share: Math.max(LEAST, 1 - Math.max(0, Math.min(FULL, sqnr)) / FULL),
    title: `${node} (${opType}, ${precision}): ${formatDecibels(sqnr)}`,
  }));
  const worst = measured.toSorted((a, b) => a.sqnr - b.sqnr).slice(0, WORST);
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
      : `All ${counted(measured.length, 'layer')} that were compared, worst first`;
  return html`<p class="more">Every layer in the order in which it runs; the taller, the more noise in what it gives, from ${FULL} dB of signal to noise at the bottom to 0 dB at the top.</p>${strip(cells, 'noise of every layer in the order in which they run', { most })}<h4>${title}</h4>${bars(list, FULL)}`;
}

/** Precisions by how much they are spared, for their colours. */
const KINDS: readonly (readonly [RegExp, string])[] = [
  [/^int[24]|^auto-weights/, 'p4'],
  [/^w8a16|16/, 'p16'],
  // Integers that are made while it runs, or that only weights are stored in.
  [/^int8-/, 'p8w'],
  [/^int8/, 'p8'],
  [/^float$/, 'p32'],
];

/** What each node computes in, as a band of at most so many cells, with how many there are of each. */
export function precisions(rows: readonly LedgerRow[], most: number): Markup {
  if (rows.length === 0) return html``;
  const kindOf = (precision: string): string => KINDS.find(([form]) => form.test(precision))?.[1] ?? 'p0';
  const counts = new Map<string, number>();
  for (const { precision } of rows) counts.set(precision, (counts.get(precision) ?? 0) + 1);
  const legend = [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(
      ([precision, count]) =>
        html`<span class="key"><i class="${kindOf(precision)}"></i>${precision}: ${count}</span>`,
    );
  const cells = rows.map(({ node, opType, precision, kernel }) => ({
    tone: kindOf(precision),
    title: `${node} (${opType}): ${precision}${kernel === undefined ? '' : `, ${kernel}`}`,
  }));
  return html`${strip(cells, 'what every node computes in, in the order in which they run', { height: 28, most })}<p>${legend}</p>`;
}
