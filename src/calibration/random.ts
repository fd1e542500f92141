/** A small seeded generator (mulberry32: 32 bits of state), the same on every machine. */
export class SeededRandom {
  #state: number;
  #spare: number | undefined;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Uniform in [0, 1), 32 bits. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Uniform integer in [0, below). */
  integer(below: number): number {
    return Math.floor(this.next() * below);
  }

  /** Uniform in [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * this.next();
  }

  /** An index, as likely as the softmax of the row says. */
  bySoftmax(row: Float32Array): number {
    let most = row[0]!;
    for (const value of row) if (value > most) most = value;
    let sum = 0;
    for (const value of row) sum += Math.exp(value - most);
    let rest = this.next() * sum;
    for (let index = 0; index < row.length; index++) {
      rest -= Math.exp(row[index]! - most);
      if (rest < 0) return index;
    }
    return row.length - 1;
  }

  /** Standard normal, by the polar form of Box and Muller. */
  normal(): number {
    if (this.#spare !== undefined) {
      const spare = this.#spare;
      this.#spare = undefined;
      return spare;
    }
    for (;;) {
      const u = 2 * this.next() - 1;
      const v = 2 * this.next() - 1;
      const s = u * u + v * v;
      if (s === 0 || s >= 1) continue;
      const factor = Math.sqrt((-2 * Math.log(s)) / s);
      this.#spare = v * factor;
      return u * factor;
    }
  }
}
