/** One finetuning: its step, its trials of what to freeze, and the training itself. */
import { QuantcError } from '../../errors/error.js';
import type { Model } from '../../ir/graph.js';
import type { Tensor } from '../../ir/tensor.js';
import { heldOutLoss } from '../../training/held-out.js';
import { type TrainingResult, TrainingSession, train } from '../../training/loop.js';
import type { Loss } from '../../training/losses.js';
import { rateAt } from '../../training/schedule.js';
import { type TrainingStep, trainingStep } from '../../training/step.js';
import { activationsOf } from './activations.js';
import { augmented } from './augment.js';
import type { Feed, FeedsToTrain } from './data.js';
import type { FinetuneRequest } from './finetune.js';
import { type Candidate, FREEZES, type Freeze, frozenNames, weightsOf } from './plan.js';
import type { StaticGrids } from './static.js';

/** Gradients are clipped to this norm. */
export const CLIP = 1;
/** Steps over which squared gradients are summed, for `top-gradient`. */
const LOOKS = 4;
/** A trial of what to freeze has one step for so many of the training. */
const TRIAL = 10;

/** A request with its choices made. */
export interface FinetuneSettings
  extends Pick<
    FinetuneRequest,
    'seed' | 'batch' | 'threads' | 'checkpoint' | 'signal' | 'onStep' | 'weightDecay' | 'augment'
  > {
  readonly steps: number;
  readonly rate: number;
}

export interface FinetuneParts {
  readonly settings: FinetuneSettings;
  readonly student: Model;
  readonly candidates: readonly Candidate[];
  /** Weights that stay in 16 bits. */
  readonly kept: readonly string[];
  /** What learns beside them and stays float. */
  readonly floats: readonly string[];
  /** Grids of activations, for static integers. */
  readonly statics?: StaticGrids;
  readonly feeds: FeedsToTrain;
  readonly loss: Loss;
  /** What decides all of its samples. */
  readonly digest: string;
}

export const stopped = ({ checkpoint }: Pick<FinetuneRequest, 'checkpoint'>): QuantcError =>
  new QuantcError('E_FINETUNE_STOPPED', 'the training was stopped before its end', {
    hint: checkpoint ? 'The same command goes on where it stopped.' : 'With --checkpoint it could go on.',
  });

export class Finetuning {
  readonly #parts: FinetuneParts;

  constructor(parts: FinetuneParts) {
    this.#parts = parts;
  }

  /** The step that trains everything but what a freeze holds. */
  async stepFor(freeze: Freeze): Promise<{ step: TrainingStep; frozen: ReadonlySet<string> }> {
    const squares = freeze === 'top-gradient' ? await this.#squares() : new Map<string, number>();
    const frozen = frozenNames(freeze, this.#parts.candidates, () => squares);
    return { step: this.#step(frozen), frozen };
  }

  #step(frozen: ReadonlySet<string>): TrainingStep {
    const { student, candidates, floats, loss, settings, statics } = this.#parts;
    const { weightDecay } = settings;
    return trainingStep(student, {
      ...weightsOf(candidates, frozen, floats, student, statics?.start.biases),
      ...(statics && { activations: activationsOf(statics, student) }),
      loss,
      teacher: student,
      optimizer: { kind: 'adamw', ...(weightDecay && { weightDecay }) },
      clipNorm: CLIP,
    });
  }

  /** Mean squared gradient of each weight at the start: Adam's own sums, taken at a rate of nothing. */
  async #squares(): Promise<ReadonlyMap<string, number>> {
    const step = this.#step(new Set());
    const session = await TrainingSession.open(step, { threads: this.#parts.settings.threads });
    try {
      for (let look = 0; look < LOOKS; look++) await session.run(look, 0, await this.#batch(look));
      const onGrids = new Set(this.#parts.candidates.map(({ name }) => name));
      const found = new Map<string, number>();
      for (const slot of step.slots) {
        if (!onGrids.has(slot.of) || !/^state\/weight\/.*\/square$/s.test(slot.input)) continue;
        const squares = session.valueOf(slot).toFloat32();
        found.set(slot.of, squares.reduce((sum, each) => sum + each, 0) / squares.length);
      }
      return found;
    } finally {
      await session.release();
    }
  }

  async #batch(step: number): Promise<Feed> {
    const { seed = 1, augment = [] } = this.#parts.settings;
    return augmented(await this.#parts.feeds.batchOf(seed, step), augment, seed, step);
  }

  heldOut(step: TrainingStep, values: ReadonlyMap<string, Tensor>): Promise<number> {
    return heldOutLoss(step, values, this.#parts.feeds.heldOut, { threads: this.#parts.settings.threads });
  }

  /** Each freeze for a tenth of the steps. */
  async trials(): Promise<{ freeze: Freeze; heldOut: number }[]> {
    const steps = Math.max(1, Math.ceil(this.#parts.settings.steps / TRIAL));
    const hasAttention = this.#parts.candidates.some(({ roles }) => roles.includes('v'));
    const tried: { freeze: Freeze; heldOut: number }[] = [];
    for (const freeze of FREEZES) {
      if (!hasAttention && (freeze === 'ov' || freeze === 'qkv')) continue;
      const { step } = await this.stepFor(freeze);
      const result = await this.train(step, `trial-${freeze}`, steps);
      if (!result.done) throw stopped(this.#parts.settings);
      tried.push({ freeze, heldOut: await this.heldOut(step, result.values) });
    }
    return tried;
  }

  train(step: TrainingStep, phase: string, steps: number): Promise<TrainingResult> {
    const { rate, threads, seed = 1, batch, augment, checkpoint, signal, onStep } = this.#parts.settings;
    const key = JSON.stringify([phase, this.#parts.digest, seed, batch, augment ?? []]);
    return train(step, {
      steps,
      batch: (index) => this.#batch(index),
      rate: (index) => rateAt({ rate, steps, warmup: Math.min(10, Math.floor(steps / 10)) }, index),
      ...(threads !== undefined && { threads }),
      ...(checkpoint !== undefined && { checkpoint: { folder: `${checkpoint}/${phase}`, key } }),
      ...(signal && { signal }),
      onStep: (point) => onStep?.(point, phase, steps),
    });
  }
}

/** The whole at once, with what is to be frozen tried first where that is not said. Errors as of `finetune`. */
export async function trainWhole(
  run: Finetuning,
  { settings, statics }: FinetuneParts,
  wanted: FinetuneRequest['freeze'],
) {
  // Freezing is of attention's parts; what has activations on grids too wants all of its weights to make up for them.
  const asked = wanted === 'auto' && statics !== undefined ? 'none' : wanted;
  const trials = asked === 'auto' ? await run.trials() : [];
  const best = [...trials].sort((a, b) => a.heldOut - b.heldOut)[0];
  const freeze = best?.freeze ?? (asked as Freeze);
  const { step, frozen } = await run.stepFor(freeze);
  const before = await run.heldOut(step, new Map(step.slots.map((slot) => [slot.input, slot.initial])));
  const result = await run.train(step, freeze, settings.steps);
  if (!result.done) throw stopped(settings);
  return {
    result,
    freeze,
    frozen,
    trials,
    heldOut: { before, after: await run.heldOut(step, result.values) },
  };
}
