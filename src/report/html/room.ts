/** How much a page shows of reports that are large: what is of least interest is left out first, and the page says so. */
import type { LedgerRow } from '../../pipeline/ledger.js';
import { counted } from '../amounts.js';
import type { TargetReport } from '../report.js';
import { html, type Markup } from './markup.js';

/** Bytes of a page that browsers open at once and mail takes. */
export const PAGE_BYTES = 1_500_000;

/** What each target may show. */
export interface Room {
  readonly histograms: number;
  /** Nodes that can be searched. */
  readonly rows: number;
  /** Cells of a band; of more nodes, neighbours share one. */
  readonly cells: number;
}

const ALL = Number.POSITIVE_INFINITY;

/** From everything to the least. Histograms go first: they are the largest, and the worst layers' come first. */
const ROOMS: readonly Room[] = [
  { histograms: ALL, rows: ALL, cells: 400 },
  { histograms: 24, rows: ALL, cells: 400 },
  { histograms: 12, rows: ALL, cells: 400 },
  { histograms: 12, rows: 4000, cells: 400 },
  { histograms: 12, rows: 2000, cells: 400 },
  { histograms: 12, rows: 1000, cells: 200 },
  { histograms: 6, rows: 500, cells: 200 },
  { histograms: 3, rows: 250, cells: 100 },
  { histograms: 0, rows: 100, cells: 50 },
  { histograms: 0, rows: 30, cells: 20 },
];

/** The page with as much as there is room for; with the least that there can be where even that is longer. */
export function fitted(page: (room: Room) => string, most = PAGE_BYTES): string {
  let text = '';
  for (const room of ROOMS) {
    text = page(room);
    if (Buffer.byteLength(text) <= most) break;
  }
  return text;
}

/** The report with no more histograms than there is room for: they come worst layer first. */
export function withinRoom(report: TargetReport, { histograms }: Room): TargetReport {
  const { calibration } = report;
  if (calibration === undefined || calibration.histograms.length <= histograms) return report;
  return {
    ...report,
    calibration: { ...calibration, histograms: calibration.histograms.slice(0, histograms) },
  };
}

/** What a reader looks for first: nodes with advice, then those that lose most, then those that stay float for a reason. */
function interest({ suggestion, sqnr, reason, plugin, precision }: LedgerRow): number {
  const lost = typeof sqnr === 'number' && Number.isFinite(sqnr) ? Math.max(0, 100 - sqnr) : 0;
  const told = reason !== undefined ? (precision === 'float' ? 20 : 10) : 0;
  return (suggestion ? 1000 : 0) + (plugin ? 500 : 0) + lost + told;
}

/** The rows of most interest, in the order of the ledger. */
export function rowsWithin(ledger: readonly LedgerRow[], { rows }: Room): readonly LedgerRow[] {
  if (ledger.length <= rows) return ledger;
  const best = ledger
    .map((row, index) => ({ index, interest: interest(row) }))
    .sort((a, b) => b.interest - a.interest || a.index - b.index)
    .slice(0, rows);
  return best.sort((a, b) => a.index - b.index).map(({ index }) => ledger[index]!);
}

/** What was left out, for the head of the page; nothing where that is nothing. */
export function leftOut(reports: readonly TargetReport[], room: Room): Markup {
  const sum = (each: (report: TargetReport) => number): number =>
    reports.reduce((total, report) => total + each(report), 0);
  const histograms = sum(({ calibration }) =>
    Math.max(0, (calibration?.histograms.length ?? 0) - room.histograms),
  );
  const rows = sum(({ ledger }) => Math.max(0, ledger.length - room.rows));
  const parts = [
    histograms > 0 && counted(histograms, 'histogram'),
    rows > 0 && `${counted(rows, 'row')} of nodes that nothing much is to be said of`,
  ].filter(Boolean);
  if (parts.length === 0) return html``;
  return html`<p class="left-out">Left out, so that the page stays small: ${parts.join(', and ')}. The reports have all of them; a page of each alone shows more.</p>`;
}
