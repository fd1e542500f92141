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
/** Cells side by side before they are told by their colours alone. */
const TITLED = 1500;

/** @param what the band shows, for who cannot see it */
export function strip(cells: readonly Cell[], what: string, height = HEIGHT): Markup {
  const width = WIDTH / cells.length;
  const titled = cells.length <= TITLED;
  const drawn = cells.map(({ tone, title, share = 1 }, at) => {
    const tall = Math.max(1, share * height);
    const place = `x="${short(at * width)}" y="${short(height - tall)}" width="${short(width + 0.15)}" height="${short(tall)}"`;
    return titled
      ? html`<rect ${new Markup(place)} class="${tone}"><title>${title}</title></rect>`
      : html`<rect ${new Markup(place)} class="${tone}"/>`;
  });
  return html`<svg class="strip" viewBox="0 0 ${WIDTH} ${height}" preserveAspectRatio="none" role="img" aria-label="${what}">${drawn}</svg>`;
}

const short = (value: number): string => String(Number(value.toFixed(2)));
