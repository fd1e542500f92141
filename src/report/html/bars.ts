/** Figures as bars and points: plain elements and SVG, which need no script. */
import { html, type Markup } from './markup.js';

/** One bar of several that share a scale. */
export interface Bar {
  readonly label: string;
  readonly value: number;
  /** The value as people read it. */
  readonly text: string;
  /** `plain` for what is compared with, `good`, `poor`. */
  readonly tone: 'plain' | 'good' | 'fair' | 'poor';
  /** Told when the bar is pointed at. */
  readonly title?: string;
}

/** Bars below each other. @param most the value that fills the width; default the largest */
export function bars(all: readonly Bar[], most = Math.max(...all.map(({ value }) => value))): Markup {
  const rows = all.map(({ label, value, text, tone, title }) => {
    const share = most > 0 ? Math.max(0, Math.min(100, (100 * value) / most)) : 0;
    return html`<div class="bar" title="${title ?? ''}"><span class="label">${label}</span><span class="track"><span class="fill ${tone}" style="width:${share.toFixed(2)}%"></span></span><span class="figure">${text}</span></div>`;
  });
  return html`<div class="bars">${rows}</div>`;
}

export interface Point {
  readonly x: number;
  readonly y: number;
  readonly title: string;
  readonly chosen: boolean;
}

const WIDTH = 560;
const HEIGHT = 260;
const MARGIN = 48;

/** Points joined in their order, with named axes. Fewer than two points show nothing. */
export function front(points: readonly Point[], x: string, y: string): Markup {
  const finite = points.filter((each) => Number.isFinite(each.x) && Number.isFinite(each.y));
  if (finite.length < 2) return html``;
  const [left, right] = extent(finite.map((each) => each.x));
  const [low, high] = extent(finite.map((each) => each.y));
  const at = (point: Point): readonly [number, number] => [
    MARGIN + ((point.x - left) / (right - left)) * (WIDTH - 2 * MARGIN),
    HEIGHT - MARGIN - ((point.y - low) / (high - low)) * (HEIGHT - 2 * MARGIN),
  ];
  const line = finite
    .map((each) =>
      at(each)
        .map((place) => place.toFixed(1))
        .join(','),
    )
    .join(' ');
  const dots = finite.map((each) => {
    const [cx, cy] = at(each);
    return html`<circle cx="${cx.toFixed(1)}" cy="${cy.toFixed(1)}" r="${each.chosen ? 7 : 4}" class="${each.chosen ? 'chosen' : ''}"><title>${each.title}</title></circle>`;
  });
  const ends = [
    html`<text x="${MARGIN}" y="${HEIGHT - MARGIN + 18}">${short(left)}</text>`,
    html`<text x="${WIDTH - MARGIN}" y="${HEIGHT - MARGIN + 18}" text-anchor="end">${short(right)}</text>`,
    html`<text x="${MARGIN - 6}" y="${HEIGHT - MARGIN}" text-anchor="end">${short(low)}</text>`,
    html`<text x="${MARGIN - 6}" y="${MARGIN + 4}" text-anchor="end">${short(high)}</text>`,
    html`<text x="${WIDTH / 2}" y="${HEIGHT - 10}" text-anchor="middle">${x}</text>`,
    html`<text x="${MARGIN}" y="${MARGIN - 18}">${y}</text>`,
  ];
  return html`<svg class="front" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${y} by ${x}"><path d="M${MARGIN},${MARGIN} V${HEIGHT - MARGIN} H${WIDTH - MARGIN}"/><polyline points="${line}"/>${dots}${ends}</svg>`;
}

/** Smallest and largest, never the same: a scale needs a length. */
function extent(values: readonly number[]): readonly [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return low === high ? [low - 1, high + 1] : [low, high];
}

const short = (value: number): string => String(Number(value.toPrecision(3)));
