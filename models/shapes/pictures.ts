/** Draws labelled pictures: one shape of ten kinds on a restless background. */
import type { SeededRandom } from '../../src/calibration/random.js';

/** Height and width in pixels. */
export const SIZE = 32;

/** Whether a point lies in a regular star or polygon: `corners` outer corners at radius 1, inner ones at `inner`. */
function inStar(x: number, y: number, corners: number, inner: number): boolean {
  const wedge = Math.PI / corners;
  const turned = Math.atan2(y, x) + 2 * Math.PI;
  const angle = Math.abs((turned % (2 * wedge)) - wedge);
  // In this wedge the edge runs from the inner corner at angle 0 to the outer one at `wedge`.
  const radius = Math.hypot(x, y);
  const px = radius * Math.cos(angle);
  const py = radius * Math.sin(angle);
  const ex = Math.cos(wedge) - inner;
  const ey = Math.sin(wedge);
  return (px - inner) * ey - py * ex < 0;
}

const polygon =
  (corners: number) =>
  (x: number, y: number): boolean =>
    inStar(x, y, corners, Math.cos(Math.PI / corners));

/** The kinds, each as the set of points that belong to it, within the unit circle. */
export const KINDS: readonly { readonly name: string; readonly has: (x: number, y: number) => boolean }[] = [
  { name: 'disk', has: (x, y) => x * x + y * y < 0.85 },
  { name: 'ring', has: (x, y) => x * x + y * y < 1 && x * x + y * y > 0.36 },
  { name: 'ellipse', has: (x, y) => x * x + 3.2 * y * y < 1 },
  { name: 'square', has: (x, y) => Math.max(Math.abs(x), Math.abs(y)) < 0.78 },
  { name: 'triangle', has: polygon(3) },
  { name: 'pentagon', has: polygon(5) },
  { name: 'star', has: (x, y) => inStar(x, y, 5, 0.42) },
  {
    name: 'cross',
    has: (x, y) => Math.min(Math.abs(x), Math.abs(y)) < 0.28 && Math.max(Math.abs(x), Math.abs(y)) < 0.95,
  },
  { name: 'crescent', has: (x, y) => x * x + y * y < 1 && (x - 0.45) ** 2 + y * y > 0.5 },
  { name: 'bar', has: (x, y) => Math.abs(x) < 1 && Math.abs(y) < 0.34 },
];

type Color = readonly [number, number, number];

/** A colour with every channel between two levels. */
const color = (random: SeededRandom, low: number, high: number): Color => [
  random.between(low, high),
  random.between(low, high),
  random.between(low, high),
];

/** Paints where `covers` holds, by the share of four points of each pixel. */
function paint(canvas: Float32Array, ink: Color, covers: (x: number, y: number) => boolean): void {
  for (let y = 0; y < SIZE; y++) {
    for (let x = 0; x < SIZE; x++) {
      let share = 0;
      for (let corner = 0; corner < 4; corner++) {
        if (covers(x + 0.25 + 0.5 * (corner & 1), y + 0.25 + 0.25 * (corner & 2))) share += 0.25;
      }
      if (share === 0) continue;
      const at = (y * SIZE + x) * 3;
      for (let c = 0; c < 3; c++) canvas[at + c]! += share * (ink[c]! - canvas[at + c]!);
    }
  }
}

/** A thin line of random place and direction. */
function scratch(canvas: Float32Array, random: SeededRandom): void {
  const [x0, y0] = [random.between(0, SIZE), random.between(0, SIZE)];
  const angle = random.between(0, Math.PI);
  const [dx, dy] = [Math.cos(angle), Math.sin(angle)];
  const length = random.between(4, 12);
  const width = random.between(0.4, 0.9);
  paint(canvas, color(random, 20, 240), (x, y) => {
    const along = (x - x0) * dx + (y - y0) * dy;
    const across = (y - y0) * dx - (x - x0) * dy;
    return Math.abs(along) < length && Math.abs(across) < width;
  });
}

/** Draws one picture of a kind as NHWC bytes. */
export function drawPicture(kind: number, random: SeededRandom): Uint8Array {
  const canvas = new Float32Array(SIZE * SIZE * 3);
  const ground = color(random, 15, 115);
  const slope = [0, 1, 2].map(() => [random.between(-1.2, 1.2), random.between(-1.2, 1.2)] as const);
  for (let y = 0; y < SIZE; y++) {
    for (let x = 0; x < SIZE; x++) {
      for (let c = 0; c < 3; c++) {
        const [sx, sy] = slope[c]!;
        canvas[(y * SIZE + x) * 3 + c] = ground[c]! + sx * (x - SIZE / 2) + sy * (y - SIZE / 2);
      }
    }
  }
  for (let i = random.integer(4); i > 0; i--) scratch(canvas, random);
  const ink = color(random, 125, 245);
  const radius = random.between(8, 13.5);
  const reach = SIZE / 2 - radius + 1;
  const [cx, cy] = [SIZE / 2 + random.between(-reach, reach), SIZE / 2 + random.between(-reach, reach)];
  const angle = random.between(0, 2 * Math.PI);
  const [cos, sin] = [Math.cos(angle) / radius, Math.sin(angle) / radius];
  const squeeze = random.between(0.88, 1.12);
  const { has } = KINDS[kind]!;
  paint(canvas, ink, (x, y) => {
    const [dx, dy] = [(x - cx) * squeeze, (y - cy) / squeeze];
    return has(dx * cos + dy * sin, dy * cos - dx * sin);
  });
  for (let i = random.integer(3); i > 0; i--) scratch(canvas, random);
  const noise = random.between(4, 28);
  return Uint8Array.from(canvas, (value) =>
    Math.max(0, Math.min(255, Math.round(value + noise * random.normal()))),
  );
}

/** Pictures with their kinds, the kinds in random order. */
export function drawPictures(
  count: number,
  random: SeededRandom,
): { samples: Uint8Array; labels: Int32Array } {
  const samples = new Uint8Array(count * SIZE * SIZE * 3);
  const labels = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    labels[i] = random.integer(KINDS.length);
    samples.set(drawPicture(labels[i]!, random), i * SIZE * SIZE * 3);
  }
  return { samples, labels };
}
