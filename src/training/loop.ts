/** Runs a training step again and again: what leaves a run as new values goes into the next one. */
import { createHash } from 'node:crypto';
import { QuantcError } from '../errors/error.js';
import { Tensor } from '../ir/tensor.js';
import { releaseBuffers } from '../runtime/release.js';
import { openSession, type Session } from '../runtime/session.js';
import { modelDigest } from '../text/model-digest.js';
import { type Checkpoint, readCheckpoint, writeCheckpoint } from './checkpoint.js';
import type { CurvePoint } from './curve.js';
import type { Slot, TrainingStep } from './step.js';

export type TrainingFeed = Readonly<Record<string, Tensor>>;

export interface TrainOptions {
  readonly steps: number;
  /** What a step reads: the student's inputs, and `labels` where the loss has some. The same for a step every time. */
  readonly batch: (step: number) => TrainingFeed | Promise<TrainingFeed>;
  /** The learning rate of a step, a pure function of it. */
  readonly rate: (step: number) => number;
  readonly threads?: number;
  readonly checkpoint?: CheckpointOptions;
  readonly onStep?: (point: CurvePoint) => void;
  /** Stops after the step under way, with a checkpoint where those are written. */
  readonly signal?: AbortSignal;
}

export interface CheckpointOptions {
  readonly folder: string;
  /** Steps from one to the next; default 50. The last step always has one. */
  readonly every?: number;
  /** What batches and rates depend on, in words of the caller: a run with another key does not go on from these files. */
  readonly key?: string;
}

export interface TrainingResult {
  readonly curve: readonly CurvePoint[];
  /** What the slots hold, by input. */
  readonly values: ReadonlyMap<string, Tensor>;
  /** False where a signal stopped it. */
  readonly done: boolean;
  /** By name of the initializer. */
  readonly trainedWeights: ReadonlyMap<string, Tensor>;
  /** By name of the initializer or value. */
  readonly trainedScales: ReadonlyMap<string, Tensor>;
}

/** A step loaded, with the values that live from run to run. */
export class TrainingSession {
  readonly #session: Session;
  readonly #step: TrainingStep;
  #state: Map<string, Tensor>;
  #own = false;

  private constructor(session: Session, step: TrainingStep) {
    this.#session = session;
    this.#step = step;
    this.#state = new Map(step.slots.map((slot) => [slot.input, slot.initial]));
  }

  /** @throws QuantcError E_RUNTIME_LOAD */
  static async open(
    step: TrainingStep,
    options: { readonly threads?: number } = {},
  ): Promise<TrainingSession> {
    // The forward nodes are fused only where the way back does not read what lies between.
    return new TrainingSession(await openSession(step.model, { ...options, optimization: 'all' }), step);
  }

  /** The tensor of a slot as it is now. Valid until the next run. */
  valueOf({ input }: Slot): Tensor {
    return this.#state.get(input)!;
  }

  /** Puts values of an earlier run in their places. */
  restore(values: ReadonlyMap<string, Tensor>): void {
    this.#replace(new Map(this.#step.slots.map(({ input }) => [input, values.get(input)!])), false);
  }

  /**
   * One step. @param index from 0
   * @throws QuantcError E_TRAINING_DIVERGED where the loss or the gradients are no longer finite; the values before the
   * step are kept then.
   */
  async run(index: number, rate: number, feed: TrainingFeed): Promise<CurvePoint> {
    const step = this.#step;
    const outputs = await this.#session.run({
      ...feed,
      [step.rate]: Tensor.scalar(rate),
      [step.step]: Tensor.scalar(index + 1),
      ...Object.fromEntries(this.#state),
    });
    const number = (name: string) => outputs[name]!.toNumbers()[0]!;
    const parts = Object.fromEntries(Object.entries(step.parts).map(([name, port]) => [name, number(port)]));
    const point = { step: index, loss: number(step.loss), parts, rate, norm: number(step.norm) };
    if (!Number.isFinite(point.loss) || !Number.isFinite(point.norm)) {
      throw new QuantcError(
        'E_TRAINING_DIVERGED',
        `step ${index} has loss ${point.loss} and gradients of norm ${point.norm}`,
        {
          hint: 'Take a lower learning rate, or clip gradients.',
        },
      );
    }
    this.#replace(new Map(step.slots.map(({ input, output }) => [input, outputs[output]!])), true);
    return point;
  }

  /** The old values' memory is given back, unless it is the caller's. */
  #replace(state: Map<string, Tensor>, own: boolean): void {
    if (this.#own) {
      releaseBuffers([...this.#state.values()].map((tensor) => tensor.data().buffer as ArrayBuffer));
    }
    this.#state = state;
    this.#own = own;
  }

  async release(): Promise<void> {
    await this.#session.release();
  }
}

/**
 * Trains from the beginning, or on from the last checkpoint in the folder: curve and values come out the same.
 * @throws QuantcError E_TRAINING_DIVERGED, E_TRAINING_RESUME for checkpoints of another training, E_RUNTIME_*
 */
export async function train(step: TrainingStep, options: TrainOptions): Promise<TrainingResult> {
  const { steps, checkpoint } = options;
  const session = await TrainingSession.open(step, { threads: options.threads });
  try {
    const key = checkpoint && trainingKey(step, options, checkpoint);
    const curve: CurvePoint[] = [];
    if (checkpoint !== undefined) {
      const found = readCheckpoint(checkpoint.folder, key!);
      if (found !== undefined) {
        session.restore(found.values);
        curve.push(...found.curve);
      }
    }
    let saved = curve.length;
    const save = (): void => {
      if (checkpoint === undefined || saved === curve.length) return;
      const values = new Map(step.slots.map((slot) => [slot.input, session.valueOf(slot)]));
      writeCheckpoint(checkpoint.folder, { key: key!, curve, values } satisfies Checkpoint);
      saved = curve.length;
    };
    for (let index = curve.length; index < steps && !options.signal?.aborted; index++) {
      const point = await session.run(index, options.rate(index), await options.batch(index));
      curve.push(point);
      options.onStep?.(point);
      if ((index + 1) % (checkpoint?.every ?? 50) === 0) save();
    }
    save();
    const trained = (kind: Slot['kind']) =>
      new Map(
        step.slots
          .filter((slot) => slot.kind === kind)
          .map((slot) => [slot.of, session.valueOf(slot).with({ name: slot.of })]),
      );
    return {
      curve,
      values: new Map(step.slots.map((slot) => [slot.input, session.valueOf(slot)])),
      done: curve.length >= steps,
      trainedWeights: trained('weight'),
      trainedScales: trained('scale'),
    };
  } finally {
    await session.release();
  }
}

/** Everything that the course of a training depends on: graph, constants, first values, and the caller's own. */
function trainingKey(step: TrainingStep, options: TrainOptions, checkpoint: CheckpointOptions): string {
  const hash = createHash('sha256').update(modelDigest(step.model));
  for (const { input, initial } of step.slots) hash.update(input).update(initial.bytes());
  const rates = Array.from({ length: options.steps }, (_, index) => options.rate(index));
  return hash.update(JSON.stringify([options.steps, rates, checkpoint.key ?? ''])).digest('hex');
}
