/** What calibration saw of the values that lose most, with the ends of the grids that they were put on. */
import type { LedgerRow } from '../../pipeline/ledger.js';
import { counted, formatDecibels } from '../amounts.js';
import type { CalibrationReport, ObservedValue, TargetReport } from '../report.js';
import { html, type Markup } from './markup.js';

const WIDTH = 240;
const HEIGHT = 72;

/** @returns nothing where the report has no histograms */
export function histograms({ calibration, ledger, notes }: TargetReport): Markup {
  if (calibration === undefined || calibration.histograms.length === 0) return html``;
  const rows = new Map(ledger.filter(({ graph }) => graph === '').map((row) => [row.node, row]));
  const all = calibration.histograms.map((each) => one(each, rows.get(each.node ?? '')));
  const chosen = notes.filter(({ code }) => code === 'ranges').map(({ message }) => message);
  return html`<p class="more">${heading(calibration)} Counts on a logarithmic scale; the band is the grid that the value was put on, and what lies beyond it is cut off. ${chosen.join('; ')}</p><div class="many">${all}</div>`;
}

function heading({ ranges, values, histograms: kept }: CalibrationReport): string {
  const shown =
    kept.length < values
      ? `The ${kept.length} of ${counted(values, 'quantized activation')} whose layers lose most, worst first.`
      : `All ${counted(values, 'quantized activation')}, those whose layers lose most first.`;
  return `${shown} Ranges by ${ranges}.`;
}

function one({ value, node, low, high, bits, sketch }: ObservedValue, row: LedgerRow | undefined): Markup {
  // What the proof measured; else what certainly lies beyond.
  const cut = row?.saturation ?? cutShare(sketch, low, high);
  const facts = [
    typeof row?.sqnr === 'number' ? formatDecibels(row.sqnr) : '',
    cut > 0 ? `${percent(cut)} cut off` : '',
    sketch.zeros > 0 ? `${percent(sketch.zeros / sketch.total)} zeros` : '',
    bits === 8 ? '' : `${bits} bits`,
  ].filter((each) => each !== '');
  const ends = `grid ${number(low)} … ${number(high)}, seen ${number(sketch.min)} … ${number(sketch.max)}`;
  return html`<figure><figcaption title="${node ?? value}"><code>${value}</code></figcaption>${picture(sketch, low, high, ends)}<div class="more">${ends}</div><div class="more">${facts.join(' · ')}</div></figure>`;
}

function picture(
  { start, width, counts, min, max }: ObservedValue['sketch'],
  low: number,
  high: number,
  ends: string,
): Markup {
  const [from, to] = [Math.min(start, min, low), Math.max(start + width * counts.length, max, high)];
  const x = (value: number): string => short(to > from ? ((value - from) / (to - from)) * WIDTH : WIDTH / 2);
  const most = Math.log1p(counts.reduce((a, b) => Math.max(a, b), 1));
  const steps = counts.map((count, at) => {
    const y = short(HEIGHT * (1 - (0.92 * Math.log1p(count)) / most));
    return `V${y}H${x(start + width * (at + 1))}`;
  });
  const shape = `M${x(start)},${HEIGHT}${steps.join('')}V${HEIGHT}Z`;
  const zero = from < 0 && to > 0 ? html`<path class="zero" d="M${x(0)},0V${HEIGHT}"/>` : '';
  return html`<svg class="histogram" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${ends}"><rect class="band" x="${x(low)}" width="${short(Number(x(high)) - Number(x(low)))}" height="${HEIGHT}"/><path class="counts" d="${shape}"/>${zero}<path class="ends" d="M${x(low)},0V${HEIGHT}M${x(high)},0V${HEIGHT}"/></svg>`;
}

/** Share of the elements whose bins lie beyond the ends as a whole. */
function cutShare(
  { start, width, counts, total }: ObservedValue['sketch'],
  low: number,
  high: number,
): number {
  const beyond = counts.filter((_, at) => start + width * (at + 1) <= low || start + width * at >= high);
  return beyond.reduce((sum, count) => sum + count, 0) / total;
}

const percent = (share: number): string => `${Number((100 * share).toPrecision(share < 0.1 ? 1 : 2))} %`;
const number = (value: number): string => String(Number(value.toPrecision(3)));
const short = (value: number): string => String(Number(value.toFixed(1)));
