/** The scales of all weights together, once blocks have been trained: the float model teaches the whole. */
import { cloneModel } from '../../ir/clone.js';
import { setConstant } from '../../ir/edit.js';
import type { Tensor } from '../../ir/tensor.js';
import type { CurvePoint } from '../../training/curve.js';
import { heldOutLoss } from '../../training/held-out.js';
import { train } from '../../training/loop.js';
import { rescaled, type Settled, scalesAlone } from '../../training/scales-alone.js';
import { rateAt } from '../../training/schedule.js';
import { trainingStep } from '../../training/step.js';
import type { ChainResult } from './chain.js';
import { weightsOf } from './plan.js';
import { CLIP, type FinetuneParts, stopped } from './run.js';

export interface ScalesResult {
  readonly settled: ReadonlyMap<string, Settled>;
  readonly floats: ReadonlyMap<string, Tensor>;
  readonly curve: readonly CurvePoint[];
  readonly heldOut: { readonly before: number; readonly after: number };
  /** False where training made it worse: then scales stay as blocks left them. */
  readonly taken: boolean;
}

/** Scales learn by shares of themselves, as fast as the rate says. */
const PACE = { rate: 1, relative: true } as const;

/**
 * Trains scales, and gains and biases beside them; integers stay.
 * @throws QuantcError E_FINETUNE_STOPPED, E_TRAINING_*, E_RUNTIME_*
 */
export async function trainScales(
  { student, feeds, loss, settings, digest }: FinetuneParts,
  { settled, floats, digest: blocks }: ChainResult,
  { frozen, steps }: { readonly frozen: ReadonlySet<string>; readonly steps: number },
): Promise<ScalesResult> {
  const { rate, threads, seed = 1, batch, checkpoint, signal, onStep } = settings;
  const held = [...settled.values()].filter(({ name }) => frozen.has(name));
  const free = [...settled.values()].filter(({ name }) => !frozen.has(name));
  const { model: begun } = cloneModel(student);
  const constants = new Map([...held.map(({ name, weight }) => [name, weight] as const), ...floats]);
  for (const value of begun.graph.initializers)
    if (constants.has(value.name)) setConstant(value, constants.get(value.name)!);
  const { model, scales } = scalesAlone(begun, free);
  const step = trainingStep(model, {
    weights: [
      ...[...scales.values()].map((name) => ({ name, pace: PACE })),
      ...weightsOf([], new Set(), [...floats.keys()], student, floats).weights,
    ],
    ...{ loss, teacher: student, optimizer: { kind: 'adamw' }, clipNorm: CLIP },
  });
  const lossOf = (values: ReadonlyMap<string, Tensor>) =>
    heldOutLoss(step, values, feeds.heldOut, { threads });
  const before = await lossOf(new Map(step.slots.map(({ input, initial }) => [input, initial])));
  const result = await train(step, {
    steps,
    batch: (index) => feeds.batchOf(seed, index),
    rate: (index) => rateAt({ rate, steps, warmup: Math.min(10, Math.floor(steps / 10)) }, index),
    ...(threads !== undefined && { threads }),
    ...(checkpoint !== undefined && {
      checkpoint: {
        folder: `${checkpoint}/scales`,
        key: JSON.stringify(['scales', digest, seed, batch, blocks]),
      },
    }),
    ...(signal && { signal }),
    onStep: (point) => onStep?.(point, 'scales', steps),
  });
  if (!result.done) throw stopped(settings);
  const after = await lossOf(result.values);
  const told = { curve: result.curve, heldOut: { before, after } };
  if (!(after < before)) return { settled, floats, taken: false, ...told };
  const trained = free.map(
    (each) => [each.name, rescaled(each, result.trainedWeights.get(scales.get(each.name)!)!)] as const,
  );
  const learnt = [...floats.keys()].map((name) => [name, result.trainedWeights.get(name)!] as const);
  return {
    settled: new Map([...settled, ...trained]),
    floats: new Map([...floats, ...learnt]),
    taken: true,
    ...told,
  };
}
