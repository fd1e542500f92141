/** How well an integer grid suits the values that are rounded to it. */
import type { Bounds } from './affine.js';

/** A grid of integers with one scale: real = (integer − zeroPoint) · scale. */
export interface IntegerGrid extends Bounds {
  readonly scale: number;
  readonly zeroPoint: number;
}

export interface GridFacts {
  /** 10·log10(Σ x² / Σ (x − x')²) in dB of this rounding alone; Infinity where nothing was lost. */
  readonly rounding: number;
  /** Share of the elements that lie beyond the ends of the grid and are cut off. */
  readonly saturation: number;
  /** Share of the grid's steps that some element takes; of as many steps as there are elements, where those are fewer. */
  readonly rangeUse: number;
  /** Share of the squared error that cutting off makes. */
  readonly cutShare: number;
  /** How many dB the error would shrink by, were the grid laid over the range that loses least. */
  readonly narrowing: number;
}

/** Bins of the histogram over the grid's range: several a step of 8 bits. */
const BINS = 2048;
/** Parts of the range that are tried at either end. */
const PARTS = Array.from({ length: 60 }, (_, i) => 2 ** (-i / 8));

/** Sums up, in constant memory, what rounding to a grid makes of values. */
export class GridUse {
  readonly #grid: IntegerGrid;
  readonly #low: number;
  readonly #high: number;
  readonly #taken: Uint8Array;
  readonly #bins = new Float64Array(BINS);
  #count = 0;
  #cut = 0;
  #signal = 0;
  #noise = 0;
  #cutNoise = 0;

  constructor(grid: IntegerGrid) {
    this.#grid = grid;
    this.#low = (grid.min - grid.zeroPoint) * grid.scale;
    this.#high = (grid.max - grid.zeroPoint) * grid.scale;
    this.#taken = new Uint8Array(grid.max - grid.min + 1);
  }

  /** @param before elements; NaN and infinities are passed over. @param after what the grid made of each */
  add(before: ArrayLike<number>, after: ArrayLike<number>): void {
    const { scale, zeroPoint, min } = this.#grid;
    const half = scale / 2;
    const perBin = BINS / (this.#high - this.#low);
    for (let i = 0; i < before.length; i++) {
      const x = before[i]!;
      if (!Number.isFinite(x)) continue;
      const y = after[i]!;
      const error = (x - y) * (x - y);
      this.#count++;
      this.#signal += x * x;
      this.#noise += error;
      if (x < this.#low - half || x > this.#high + half) {
        this.#cut++;
        this.#cutNoise += error;
      }
      const step = Math.round(y / scale) + zeroPoint - min;
      if (step >= 0 && step < this.#taken.length) this.#taken[step] = 1;
      this.#bins[Math.min(BINS - 1, Math.max(0, Math.floor((x - this.#low) * perBin)))]!++;
    }
  }

  get facts(): GridFacts {
    const noise = this.#noise;
    const steps = this.#taken.reduce((sum, taken) => sum + taken, 0);
    return {
      rounding: noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(this.#signal / noise),
      saturation: this.#count === 0 ? 0 : this.#cut / this.#count,
      rangeUse: this.#count === 0 ? 0 : steps / Math.min(this.#taken.length, this.#count),
      cutShare: noise === 0 ? 0 : this.#cutNoise / noise,
      narrowing: this.#narrowing(),
    };
  }

  /** Both ends are moved inwards in turn; rounding costs step²/12 an element, cutting off the squared distance. */
  #narrowing(): number {
    const steps = this.#taken.length - 1;
    const width = (this.#high - this.#low) / BINS;
    const middles = Float64Array.from({ length: BINS }, (_, bin) => this.#low + (bin + 0.5) * width);
    const errorOf = (low: number, high: number): number => {
      const rounding = ((high - low) / steps) ** 2 / 12;
      let sum = 0;
      for (let bin = 0; bin < BINS; bin++) {
        const count = this.#bins[bin]!;
        if (count === 0) continue;
        const x = middles[bin]!;
        const beyond = x < low ? low - x : x > high ? x - high : 0;
        sum += count * (beyond > 0 ? beyond * beyond : rounding);
      }
      return sum;
    };
    const now = errorOf(this.#low, this.#high);
    if (!(now > 0)) return 0;
    let [low, high, least] = [this.#low, this.#high, now];
    for (let round = 0; round < 2; round++) {
      for (const part of PARTS) {
        const error = errorOf(low, this.#high * part);
        if (error < least) [high, least] = [this.#high * part, error];
      }
      for (const part of PARTS) {
        const error = errorOf(this.#low * part, high);
        if (error < least) [low, least] = [this.#low * part, error];
      }
    }
    return least > 0 ? 10 * Math.log10(now / least) : 0;
  }
}
