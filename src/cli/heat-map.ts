/** What bits of weights cost, as a picture: an SVG without scripts or fonts of its own. */
import type { WeightSensitivity, WeightSensitivityReport } from '../compile/weight-sensitivity.js';

const CELL = { width: 84, height: 18 };
const LABEL = 260;
const TOP = 64;

/** Layers downwards in the order of the model's layers and roles, bits across, darker where more is lost. */
export function heatMap({ model, metric, bits, weights, samples, method }: WeightSensitivityReport): string {
  const rows = weights.toSorted((a, b) => placeOf(a) - placeOf(b));
  const noises = rows
    .flatMap(({ figures }) => figures.map(({ noise }) => noise))
    .filter((noise) => noise > 0 && Number.isFinite(noise));
  const [low, high] = [Math.log(Math.min(...noises)), Math.log(Math.max(...noises))];
  const share = (noise: number): number =>
    noise <= 0
      ? 0
      : !Number.isFinite(noise)
        ? 1
        : high === low
          ? 0.5
          : (Math.log(noise) - low) / (high - low);
  const unit = metric === 'kl' ? 'nats of divergence' : 'share of the outputs’ energy';
  const width = LABEL + bits.length * CELL.width + 16;
  const height = TOP + rows.length * CELL.height + 16;
  const parts = [
    text(8, 20, `${model}: what each weight costs alone`, 'font-weight="bold"'),
    text(8, 38, `${unit}, ${method}, ${samples} samples`),
    ...bits.map((each, at) =>
      text(LABEL + (at + 0.5) * CELL.width, TOP - 8, `${each} bits`, 'text-anchor="middle"'),
    ),
  ];
  for (const [row, weight] of rows.entries()) {
    const y = TOP + row * CELL.height;
    parts.push(text(LABEL - 8, y + 13, weight.role ?? weight.nodes[0]!, 'text-anchor="end"'));
    for (const [at, { noise }] of weight.figures.entries()) {
      const dark = share(noise);
      const x = LABEL + at * CELL.width;
      parts.push(
        `<rect x="${x}" y="${y}" width="${CELL.width - 1}" height="${CELL.height - 1}" fill="${colour(dark)}"><title>${escaped(weight.nodes.join(', '))}</title></rect>`,
        text(
          x + CELL.width / 2,
          y + 13,
          noise.toPrecision(2),
          `text-anchor="middle" fill="${dark > 0.6 ? '#fff' : '#222'}"`,
        ),
      );
    }
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="#fff"/>\n${parts.join('\n')}\n</svg>\n`;
}

const ORDER = ['q', 'k', 'v', 'o', 'gate', 'up', 'down'];

function placeOf({ roles: [first] }: WeightSensitivity): number {
  if (first?.layer === undefined) return Number.MAX_SAFE_INTEGER;
  return first.layer * 100 + ORDER.indexOf(first.role);
}

/** From white over orange to dark red. */
function colour(share: number): string {
  const [from, to, at] =
    share < 0.5
      ? ([[255, 250, 240], [244, 150, 70], share * 2] as const)
      : ([[244, 150, 70], [110, 10, 30], share * 2 - 1] as const);
  return `#${from
    .map((start, i) =>
      Math.round(start + (to[i]! - start) * at)
        .toString(16)
        .padStart(2, '0'),
    )
    .join('')}`;
}

const text = (x: number, y: number, content: string, attributes = ''): string =>
  `<text x="${x}" y="${y}"${attributes && ` ${attributes}`}>${escaped(content)}</text>`;

const escaped = (content: string): string =>
  content.replace(/[&<>"]/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[sign]!);
