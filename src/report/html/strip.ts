/** Every node of a graph as one cell of a band, in the order in which they run. */
import { html, Markup } from './markup.js';

export interface Cell {
  /** Class of the cell, which gives it its colour. */
  readonly tone: string;
  readonly title: string;
  /** Its height as a share of the band's; default 1. */
  readonly share?: number;
}

const WIDTH = 1000;
const HEIGHT = 90;
/** Cells that can be told apart; of more, neighbours share one. */
const CELLS = 400;

export interface Band {
  readonly height?: number;
  /** Cells that are drawn at most. */
  readonly most?: number;
}

/** @param what the band shows, for who cannot see it */
export function strip(
  cells: readonly Cell[],
  what: string,
  { height = HEIGHT, most = CELLS }: Band = {},
): Markup {
  const width = WIDTH / cells.length;
  const drawn = shared(cells, most).map(({ cell: { tone, title, share = 1 }, from, count }) => {
    const tall = Math.max(1, share * height);
    const place = `x="${short(from * width)}" y="${short(height - tall)}" width="${short(count * width + 0.15)}" height="${short(tall)}"`;
    const more = count > 1 && ` and ${count - 1} more`;
    return html`<rect ${new Markup(place)} class="${tone}"><title>${title}${more}</title></rect>`;
  });
  return html`<svg class="strip" viewBox="0 0 ${WIDTH} ${height}" preserveAspectRatio="none" role="img" aria-label="${what}">${drawn}</svg>`;
}

interface Shared {
  /** The tallest of them. */
  readonly cell: Cell;
  readonly from: number;
  readonly count: number;
}

/** Neighbours that look alike as one; where there are still too many, so many together that there are not. */
function shared(cells: readonly Cell[], most: number): Shared[] {
  const joined = (alike: (cell: Cell, before: Cell, count: number) => boolean): Shared[] => {
    const found: Shared[] = [];
    cells.forEach((cell, from) => {
      const last = found.at(-1);
      if (last === undefined || !alike(cell, last.cell, last.count)) found.push({ cell, from, count: 1 });
      else {
        const taller = (cell.share ?? 1) > (last.cell.share ?? 1) ? cell : last.cell;
        found[found.length - 1] = { cell: taller, from: last.from, count: last.count + 1 };
      }
    });
    return found;
  };
  if (cells.length <= most) return joined(() => false);
  const alike = joined((cell, before) => cell.tone === before.tone && cell.share === before.share);
  if (alike.length <= most) return alike;
  const together = Math.ceil(cells.length / most);
  return joined((_cell, _before, count) => count < together);
}

const short = (value: number): string => String(Number(value.toFixed(2)));
