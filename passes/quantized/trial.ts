/** Changes of integers that are kept only where the whole model answers no worse for them. */
import { decibels, type Judge, type Model, type PassContext } from '../../src/index.js';
import { floatCopyFact } from '../keep-float.js';
import type { QuantizedLayer } from './layer.js';
import { remembered } from './store.js';

export interface Trial {
  readonly pass: string;
  /** What is changed, as the ledger calls it: `12 weights`. */
  readonly what: string;
  readonly done: string;
  readonly undone: string;
  /** By how much the noise of the outputs may grow, as a factor. Default 1. */
  readonly tolerance?: number;
  change(): void | Promise<void>;
}

/**
 * Judges the outputs of the model over calibration samples before and after a change of layers, and takes it back where
 * they are less like the float model's. The ledger says which. Without samples, or room to run models, nothing changes.
 */
export async function unlessWorse(
  model: Model,
  layers: readonly QuantizedLayer[],
  context: PassContext,
  { pass, what, done, undone, tolerance = 1, change }: Trial,
): Promise<void> {
  const float = floatCopyFact.find(context);
  const { judge } = context.engine;
  if (float === undefined || judge === undefined) {
    context.decline('there are no calibration samples, or no room to run the model on them');
    return;
  }
  const judged = await judge(float.model);
  const before = await noiseOf(model, judged);
  const restore = remembered(layers);
  await change();
  const after = await noiseOf(model, judged);
  const kept = after <= before * tolerance;
  if (!kept) restore();
  const found = `${decibels(before).toFixed(1)} dB before, ${decibels(after).toFixed(1)} dB with it`;
  context.ledger.note(
    'info',
    pass,
    `${what} ${kept ? done : undone}: ${found}, on calibration samples`,
    pass,
  );
}

const noiseOf = async (model: Model, judge: Judge): Promise<number> =>
  (await judge.noise(model)).reduce((sum, each) => sum + each, 0);

/** `one weight`, `12 weights`. */
export const counted = (count: number, noun: string, plural = `${noun}s`): string =>
  count === 1 ? `one ${noun}` : `${count} ${plural}`;
