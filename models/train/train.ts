import { Adam } from './adam.js';
import { crossEntropy } from './layers.js';
import type { Parameters } from './parameters.js';
import { Tape, type Variable } from './tape.js';

/** Labelled samples, one after the other. */
export interface Labelled {
  readonly samples: Uint8Array;
  readonly labels: Int32Array;
}

export type Forward = (tape: Tape, samples: Uint8Array) => Variable;

export interface TrainOptions {
  readonly steps: number;
  readonly batch: number;
  /** Largest learning rate. */
  readonly rate: number;
  /** Draws fresh samples: none is ever seen twice. */
  readonly draw: (count: number) => Labelled;
}

/** Trains a classifier and tells its progress on the console. */
export function train(
  parameters: Parameters,
  forward: Forward,
  { steps, batch, rate, draw }: TrainOptions,
): void {
  const adam = new Adam(parameters.all, { rate, steps });
  console.log(`${parameters.count} parameters, ${steps} steps of ${batch} samples`);
  const start = performance.now();
  let [right, seen, losses] = [0, 0, 0];
  for (let step = 1; step <= steps; step++) {
    const { samples, labels } = draw(batch);
    const tape = new Tape();
    const result = crossEntropy(tape, forward(tape, samples), labels, 0.05);
    tape.backward();
    adam.step();
    right += result.right;
    losses += result.loss * batch;
    seen += batch;
    if (step % 100 === 0 || step === steps) {
      const seconds = ((performance.now() - start) / 1000).toFixed(0);
      console.log(`step ${step}: loss ${(losses / seen).toFixed(3)}, ${percent(right / seen)}, ${seconds} s`);
      [right, seen, losses] = [0, 0, 0];
    }
  }
}

/** Share of samples that a network gets right, without touching it. */
export function accuracy(forward: Forward, { samples, labels }: Labelled): number {
  const size = samples.length / labels.length;
  let right = 0;
  for (let start = 0; start < labels.length; start += 50) {
    const end = Math.min(labels.length, start + 50);
    const tape = new Tape(false);
    const logits = forward(tape, samples.subarray(start * size, end * size));
    right += crossEntropy(tape, logits, labels.subarray(start, end)).right;
  }
  return right / labels.length;
}

export const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
