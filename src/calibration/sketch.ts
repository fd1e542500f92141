/** Histograms made coarse: what a report keeps of what calibration saw. */
import type { Sketch } from '../pipeline/sketch.js';
import type { Histogram } from './histogram.js';

/** Most bins of a sketch. */
const BINS = 64;

/**
 * The histogram over the part of it that holds something, with at most 64 bins. Bins are joined by twos, fours …, so
 * that none is split and every count is exact.
 */
export function sketchOf({ counts, width, zeros, total, min, max }: Histogram): Sketch {
  const side = counts.length / 2;
  const filled = [...counts.keys()].filter((at) => counts[at]! > 0);
  const facts = { min, max, total, zeros };
  if (filled.length === 0) return { ...facts, start: 0, width: 0, counts: [] };
  // Zeros lie in the bin that begins with them.
  const inside = zeros > 0 ? [side] : [];
  const first = Math.min(filled[0]!, ...inside) - side;
  const last = Math.max(filled.at(-1)!, ...inside) - side;
  let halvings = 0;
  while ((last >> halvings) - (first >> halvings) >= BINS) halvings++;
  const start = first >> halvings;
  const coarse = new Array<number>((last >> halvings) - start + 1).fill(0);
  for (const at of filled) coarse[((at - side) >> halvings) - start]! += counts[at]!;
  const joined = width * 2 ** halvings;
  return { ...facts, start: start * joined, width: joined, counts: coarse };
}
