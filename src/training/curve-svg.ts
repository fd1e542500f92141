/** The learning curve as a picture: loss by step on a logarithmic scale, the held-out loss before and after as lines. */
import type { CurvePoint } from './curve.js';

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [720, 320, 64, 16, 16, 32];

/** An SVG document of its own; equal curves are equal bytes. */
export function curveSvg(
  curve: readonly CurvePoint[],
  heldOut: { readonly before: number; readonly after: number },
): string {
  const losses = curve.map(({ loss }) => Math.max(loss, Number.MIN_VALUE));
  const ends = [...losses, heldOut.before, heldOut.after].filter((each) => each > 0);
  const low = Math.log10(Math.min(...ends)) - 0.05;
  const high = Math.log10(Math.max(...ends)) + 0.05;
  const x = (step: number): number => LEFT + ((WIDTH - LEFT - RIGHT) * step) / Math.max(1, curve.length - 1);
  const y = (loss: number): number =>
    HEIGHT -
    BOTTOM -
    ((HEIGHT - TOP - BOTTOM) * (Math.log10(Math.max(loss, 10 ** low)) - low)) / (high - low);
  const at = (value: number): string => value.toFixed(1);
  const points = losses.map((loss, step) => `${at(x(step))},${at(y(loss))}`).join(' ');
  const level = (loss: number, name: string, colour: string): string =>
    `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at(y(loss))}" y2="${at(y(loss))}" stroke="${colour}" stroke-dasharray="4 4"/>` +
    `<text x="${WIDTH - RIGHT}" y="${at(y(loss) - 4)}" text-anchor="end" fill="${colour}">${name} ${loss.toPrecision(3)}</text>`;
  const ticks = [low, (low + high) / 2, high].map((power) => {
    const loss = 10 ** power;
    return `<text x="${LEFT - 6}" y="${at(y(loss) + 4)}" text-anchor="end">${loss.toPrecision(2)}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="11">`,
    `<title>Loss by step</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    ...ticks,
    `<text x="${LEFT}" y="${HEIGHT - 10}">step 1</text>`,
    `<text x="${WIDTH - RIGHT}" y="${HEIGHT - 10}" text-anchor="end">step ${curve.length}</text>`,
    `<polyline points="${points}" fill="none" stroke="#1f5fa8" stroke-width="1.5"/>`,
    level(heldOut.before, 'held out, rounded', '#a8541f'),
    level(heldOut.after, 'held out, trained', '#2c7a3f'),
    '</svg>\n',
  ].join('\n');
}
