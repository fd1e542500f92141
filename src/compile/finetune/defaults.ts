/** How long and how fast a finetuning trains where nothing is said. */
import type { Model } from '../../ir/graph.js';
import { isConvolutional } from './plan.js';

/** Steps and highest rates by bits: the fewer, the farther weights have to go. */
const DEFAULTS: Readonly<Record<number, { steps: number; rate: number }>> = {
  1: { steps: 1200, rate: 2e-3 },
  1.58: { steps: 1200, rate: 2e-3 },
  2: { steps: 800, rate: 1.5e-3 },
  3: { steps: 600, rate: 5e-4 },
  4: { steps: 400, rate: 3e-4 },
};
const OTHERS = { steps: 200, rate: 1e-4 };
/** Of convolutional networks, whose rates are shares of what weights are like. */
const CONVOLUTIONAL: typeof DEFAULTS = {
  2: { steps: 400, rate: 5e-3 },
  3: { steps: 300, rate: 3e-3 },
  4: { steps: 200, rate: 1e-3 },
};
const CONVOLUTIONAL_OTHERS = { steps: 100, rate: 1e-4 };

/** What was rounded together has less far to go: full rates would first lose what that gained. */
const ROUNDED = 0.3;

/**
 * @param student as it is trained
 * @param rounded whether weights of a convolutional network start as they are rounded together
 */
export function defaultsFor(student: Model, bits: number, rounded: boolean): { steps: number; rate: number } {
  if (!isConvolutional(student)) return DEFAULTS[bits] ?? OTHERS;
  const { steps, rate } =
    CONVOLUTIONAL[bits] ?? (bits > 4 ? CONVOLUTIONAL_OTHERS : (DEFAULTS[bits] ?? OTHERS));
  return { steps, rate: rounded ? rate * ROUNDED : rate };
}
