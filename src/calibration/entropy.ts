/** Ranges by relative entropy: the one under which the integers tell most about the floats. */
import type { Range } from '../target/facts.js';
import type { Histogram } from './histogram.js';
import type { Grid } from './range.js';

/** Fractions of the full range that are tried on either side: fine near all of it, coarse towards nothing. */
const SHRINKS = Array.from({ length: 96 }, (_, i) => 1 - i / 100);
/** Both ends are moved in turn, at most so often. */
const ROUNDS = 4;

/**
 * The range that loses least information, after S. Migacz, "8-bit Inference with TensorRT" (GTC 2017), for any grid.
 *
 * P is the distribution of the elements over the histogram's bins, with all that lies outside the range added to the
 * outermost bins inside. Q is what the integers know of it: the elements inside alone, those of each integer spread
 * evenly over the bins that it stands for and that hold anything. Both are scaled to a sum of 1, and the range with the
 * least KL(P‖Q) = Σ P·ln(P/Q) wins: a narrow range has P pile up at its ends where Q has little, a wide one flattens Q.
 * Elements that are exactly zero count as a bin of their own with an integer of its own, since zero is always exact;
 * without this, models full of ReLUs would be judged by their zeros alone.
 *
 * Asymmetric grids move both ends in turn until neither gets better; symmetric ones move both at once. Zero always lies
 * inside. Where the bins are no finer than the grid, nothing is lost to it, and only clipping counts.
 */
export function entropyRange(histogram: Histogram, grid: Grid): Range {
  const lowest = Math.min(histogram.min, 0);
  const highest = Math.max(histogram.max, 0);
  if (lowest === highest) return { min: lowest, max: highest };
  const sums = new Sums(histogram);
  const loss = (low: number, high: number): number => sums.divergence(low, high, grid.steps);
  if (grid.symmetric) {
    const reach = Math.max(-lowest, highest);
    const { shrink } = best((p) => loss(-reach * p, reach * p));
    return { min: -reach * shrink, max: reach * shrink };
  }
  let [low, high] = [lowest, highest];
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const top = highest > 0 ? best((p) => loss(low, highest * p)) : { shrink: 1, loss: loss(low, 0) };
    high = highest * top.shrink;
    const bottom = lowest < 0 ? best((p) => loss(lowest * p, high)) : top;
    if (lowest < 0) low = lowest * bottom.shrink;
    if (!(bottom.loss < least)) break;
    least = bottom.loss;
  }
  return { min: low + 0, max: high + 0 };
}

/** The first fraction, from the widest on, that has the least loss. */
function best(lossOf: (shrink: number) => number): { shrink: number; loss: number } {
  let found = { shrink: 1, loss: Number.POSITIVE_INFINITY };
  for (const shrink of SHRINKS) {
    const loss = lossOf(shrink);
    if (loss < found.loss) found = { shrink, loss };
  }
  return found;
}

/** Running sums over bins, so that a range is judged in time of its integers, not of its bins. */
class Sums {
  readonly #width: number;
  readonly #zeros: number;
  readonly #total: number;
  readonly #side: number;
  /** Over the bins before each: counts, occupied bins, and count·ln(count). */
  readonly #counts: Float64Array;
  readonly #occupied: Float64Array;
  readonly #entropy: Float64Array;

  constructor({ counts, width, zeros, total }: Histogram) {
    this.#width = width;
    this.#zeros = zeros;
    this.#total = total;
    this.#side = counts.length / 2;
    const running = (each: (count: number) => number): Float64Array => {
      const sums = new Float64Array(counts.length + 1);
      for (let bin = 0; bin < counts.length; bin++) sums[bin + 1] = sums[bin]! + each(counts[bin]!);
      return sums;
    };
    this.#counts = running((count) => count);
    this.#occupied = running((count) => (count > 0 ? 1 : 0));
    this.#entropy = running(information);
  }

  /** KL(P‖Q) of a grid of so many steps over a range that holds zero. */
  divergence(low: number, high: number, steps: number): number {
    const step = (high - low) / steps;
    const zero = Math.round(-low / step);
    const [first, end] = [
      this.#binAt(-zero * step - step / 2),
      this.#binAt((steps - zero) * step + step / 2),
    ];
    if (!(step > 0) || end - first < 1) return Number.POSITIVE_INFINITY;
    const inside = this.#counts[end]! - this.#counts[first]! + this.#zeros;
    if (inside === 0) return Number.POSITIVE_INFINITY;
    // What lies outside joins the outermost bins: their own share of Σ P·ln P changes, that of all others stays.
    const [below, above] = [this.#counts[first]!, this.#total - this.#zeros - this.#counts[end]!];
    const [bottom, top] = [this.#count(first), this.#count(end - 1)];
    let known = this.#entropy[end]! - this.#entropy[first]! + information(this.#zeros);
    if (end - first === 1) known += information(bottom + below + above) - information(bottom);
    else
      known +=
        information(bottom + below) - information(bottom) + information(top + above) - information(top);
    // Σ P·ln Q, an integer at a time: Q is even over the bins that hold something.
    let guessed = this.#zeros > 0 ? this.#zeros * Math.log(this.#zeros) : 0;
    let from = first;
    for (let level = 0; level <= steps; level++) {
      const to = level === steps ? end : Math.min(end, this.#binAt((level - zero + 0.5) * step));
      if (to <= from) continue;
      const held = this.#counts[to]! - this.#counts[from]!;
      let claimed = held;
      if (from === first) claimed += below;
      if (to === end) claimed += above;
      // Elements clipped to where none were before: Q knows nothing of them.
      const bins = this.#occupied[to]! - this.#occupied[from]!;
      if (held > 0) guessed += claimed * Math.log(held / bins);
      else if (claimed > 0) guessed += claimed * Math.log(UNSEEN);
      from = to;
    }
    return (known - guessed) / this.#total - Math.log(this.#total) + Math.log(inside);
  }

  /** The first bin whose middle lies at or above x. */
  #binAt(x: number): number {
    const bin = Math.ceil(x / this.#width - 0.5) + this.#side;
    return Math.max(0, Math.min(2 * this.#side, bin));
  }

  #count(bin: number): number {
    return this.#counts[bin + 1]! - this.#counts[bin]!;
  }
}

/** Count that stands for none where a logarithm needs one. */
const UNSEEN = 1e-4;

const information = (count: number): number => (count > 0 ? count * Math.log(count) : 0);
