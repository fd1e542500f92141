/** Plots with two axes: points, lines and steps as SVG, which needs no script. */
import { html, type Markup } from './markup.js';

export interface Point {
  readonly x: number;
  readonly y: number;
  readonly title: string;
  /** `chosen` stands out, `faint` steps back. */
  readonly tone?: 'chosen' | 'faint' | undefined;
  /** Written beside it. */
  readonly label?: string;
}

export interface Axis {
  readonly name: string;
  readonly text: (value: number) => string;
  /** Values are all above 0, and as far apart as their ratios are. */
  readonly logarithmic?: boolean;
  /** Smaller is better: drawn as an arrow in the name. */
  readonly better?: 'smaller' | 'larger';
}

export interface Plot {
  readonly x: Axis;
  readonly y: Axis;
  readonly points?: readonly Point[];
  /** Joined in their order. */
  readonly line?: readonly { readonly x: number; readonly y: number }[];
  /** Values of y that hold all along, with a name. */
  readonly levels?: readonly { readonly y: number; readonly name: string }[];
}

const WIDTH = 560;
const HEIGHT = 300;
const [LEFT, RIGHT, TOP, BOTTOM] = [64, 24, 34, 48];

type Place = { readonly x: number; readonly y: number };

/** @returns nothing where fewer than two places are finite: there is nothing to compare */
export function plot({ x, y, points = [], line = [], levels = [] }: Plot): Markup {
  const within = (place: Place): boolean =>
    sizeOf(place.x, x) !== undefined && sizeOf(place.y, y) !== undefined;
  const dots = points.filter(within);
  const way = line.filter(within);
  const all: Place[] = [...dots, ...way];
  if (all.length < 2) return html``;
  const across = scale(
    all.map((each) => each.x),
    x,
    LEFT,
    WIDTH - RIGHT,
  );
  const heights = [...all.map((each) => each.y), ...levels.map((each) => each.y)];
  const upwards = scale(
    heights.filter((each) => sizeOf(each, y) !== undefined),
    y,
    HEIGHT - BOTTOM,
    TOP,
  );
  const path = way.map(
    (each, at) => `${at === 0 ? 'M' : 'L'}${short(across.at(each.x))},${short(upwards.at(each.y))}`,
  );
  const drawn = dots.map(({ title, tone = '', label, ...place }) => {
    const [cx, cy] = [across.at(place.x), upwards.at(place.y)];
    const left = cx > WIDTH * 0.6;
    return html`<circle cx="${short(cx)}" cy="${short(cy)}" r="${tone === 'chosen' ? 6 : 4}" class="${tone}"><title>${title}</title></circle>${
      label !== undefined &&
      html`<text x="${short(cx + (left ? -9 : 9))}" y="${short(cy + 4)}"${left && html` text-anchor="end"`}>${label}</text>`
    }`;
  });
  // Names of two levels that lie close together stand at either end.
  const flat = levels
    .filter((each) => sizeOf(each.y, y) !== undefined)
    .map(({ y: height, name }, index) => {
      const at = upwards.at(height);
      const [side, anchor] = index % 2 === 0 ? [WIDTH - RIGHT, 'end'] : [LEFT + 4, 'start'];
      return html`<path class="level" d="M${LEFT},${short(at)}H${WIDTH - RIGHT}"/><text x="${side}" y="${short(at - 5)}" text-anchor="${anchor}">${name}</text>`;
    });
  const marks = [
    ...across.marks.map(
      ({ value, at }) =>
        html`<path class="grid" d="M${short(at)},${TOP}V${HEIGHT - BOTTOM}"/><text x="${short(at)}" y="${HEIGHT - BOTTOM + 17}" text-anchor="middle">${x.text(value)}</text>`,
    ),
    ...upwards.marks.map(
      ({ value, at }) =>
        html`<path class="grid" d="M${LEFT},${short(at)}H${WIDTH - RIGHT}"/><text x="${LEFT - 7}" y="${short(at + 4)}" text-anchor="end">${y.text(value)}</text>`,
    ),
  ];
  const names = html`<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 8}" text-anchor="middle">${named(x, '←', '→')}</text><text x="8" y="16">${named(y, '↓', '↑')}</text>`;
  return html`<svg class="plot" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${y.name} by ${x.name}">${marks}${path.length > 1 && html`<path class="line" d="${path.join('')}"/>`}${flat}${drawn}${names}</svg>`;
}

const named = ({ name, better }: Axis, less: string, more: string): string =>
  better === undefined ? name : better === 'smaller' ? `${less} ${name}` : `${name} ${more}`;

/** Where a value lies along its axis; undefined where it lies nowhere. */
function sizeOf(value: number, { logarithmic }: Axis): number | undefined {
  const size = logarithmic ? Math.log10(value) : value;
  return Number.isFinite(size) ? size : undefined;
}

/** Most marks along an axis, and how far apart they are at least. */
const MARKS = 5;
const APART = 52;

function scale(values: readonly number[], axis: Axis, from: number, to: number) {
  const sizes = values.map((value) => sizeOf(value, axis)!);
  const [least, most] = extent(sizes);
  // Points shall not stick to the edges.
  const room = 0.06 * (most - least);
  const [low, high] = [least - room, most + room];
  const at = (size: number): number => from + ((size - low) / (high - low)) * (to - from);
  const marks = (axis.logarithmic ? powers(low, high) : round(low, high)).map((value) => ({
    value,
    at: at(sizeOf(value, axis)!),
  }));
  // Texts of the lower axis stand side by side.
  let last = Number.NEGATIVE_INFINITY;
  const spread = marks.filter((mark) => {
    if (to > from && mark.at - last < APART) return false;
    last = mark.at;
    return true;
  });
  return { at: (value: number) => at(sizeOf(value, axis)!), marks: spread };
}

/** Round numbers between two ends. */
function round(low: number, high: number): number[] {
  const raw = (high - low) / MARKS;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((each) => each * unit).find((each) => each >= raw)!;
  const marks: number[] = [];
  for (let index = Math.ceil(low / step); index * step <= high; index++) marks.push(index * step);
  return marks;
}

/** Numbers of one digit, by 1, 2, 5 or by powers of ten, between two logarithms. */
function powers(low: number, high: number): number[] {
  for (const digits of [[1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 5], [1, 3], [1]]) {
    const marks: number[] = [];
    for (let power = Math.floor(low); power <= high; power++)
      for (const digit of digits) {
        const value = digit * 10 ** power;
        if (Math.log10(value) >= low && Math.log10(value) <= high) marks.push(value);
      }
    if (marks.length <= MARKS + 1 && marks.length > 1) return marks;
    if (marks.length <= 1) return round(10 ** low, 10 ** high).filter((value) => value > 0);
  }
  const step = Math.ceil((high - low) / MARKS);
  return Array.from({ length: MARKS + 1 }, (_, at) => 10 ** (Math.ceil(low) + at * step)).filter(
    (value) => Math.log10(value) <= high,
  );
}

/** Smallest and largest, never the same: a scale needs a length. */
function extent(sizes: readonly number[]): readonly [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const size of sizes) {
    low = Math.min(low, size);
    high = Math.max(high, size);
  }
  const middle = Math.max(Math.abs(low) * 0.05, 1e-9);
  return high - low < 1e-12 ? [low - middle, high + middle] : [low, high];
}

const short = (value: number): string => String(Number(value.toFixed(1)));
/** A number as an axis writes it. */
export const plain = (value: number): string => String(Number(value.toPrecision(4)));
