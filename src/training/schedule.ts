/** Learning rates by step. */

export interface Schedule {
  /** The highest rate. */
  readonly rate: number;
  readonly steps: number;
  /** Steps during which the rate rises from nothing; default none. */
  readonly warmup?: number;
  /** How it falls afterwards; default `cosine`. */
  readonly shape?: 'cosine' | 'linear' | 'constant';
  /** What is left of the rate at the end, as a share; default 0. */
  readonly floor?: number;
}

/** The rate of a step, counted from 0: a pure function, so that a run that goes on has the same. */
export function rateAt(
  { rate, steps, warmup = 0, shape = 'cosine', floor = 0 }: Schedule,
  step: number,
): number {
  if (step < warmup) return (rate * (step + 1)) / warmup;
  const done = Math.min(1, (step - warmup) / Math.max(1, steps - warmup));
  const falling = { constant: 1, linear: 1 - done, cosine: (1 + Math.cos(Math.PI * done)) / 2 }[shape];
  return rate * (floor + (1 - floor) * falling);
}
