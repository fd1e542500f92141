/**
 * Finetuning: trains a float model's weights on the grid that they will be stored on, the float model being its own
 * teacher (KD-QAT). What is written is the canonical float model with weights that lie on their grids, and the grids.
 */
import { basename } from 'node:path';
import { QuantcError } from '../errors/error.js';
import { setGraphOutputs } from '../ir/edit.js';
import type { Model } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { readModel } from '../onnx/read.js';
import type { CurvePoint } from '../training/curve.js';
import { heldOutLoss } from '../training/held-out.js';
import { type TrainingResult, TrainingSession, train } from '../training/loop.js';
import type { Loss } from '../training/losses.js';
import { rateAt } from '../training/schedule.js';
import { type TrainingStep, trainingStep } from '../training/step.js';
import { batchOf, dataToTrain, type FeedsToTrain, feedsToTrain, sizesOf } from './finetune-data.js';
import { type FinetuneFiles, writeFinetuned } from './finetune-output.js';
import {
  type Candidate,
  candidatesOf,
  FREEZES,
  type Freeze,
  frozenNames,
  type Start,
  weightsOf,
} from './finetune-plan.js';
import { canonicalCopy, trainableModel } from './trainable.js';

export interface FinetuneRequest {
  /** Path of the float model. */
  readonly model: string;
  /** Data as of `compile --calib`; no labels are needed. Absent: texts that a decoder draws from itself. */
  readonly calib?: string;
  /** Path of the .onnx to write. */
  readonly out: string;
  /** 2 to 8. */
  readonly bits: number;
  /** Elements along the inputs of a product that share a scale; absent: one scale an output channel. */
  readonly blockSize?: number;
  /** Weights as another method left them (GPTQ), by name of the initializer in the canonical model. */
  readonly start?: ReadonlyMap<string, Start>;
  /** `auto`: each is tried for a fifth of the steps, and the one with the least held-out loss is taken. */
  readonly freeze: Freeze | 'auto';
  readonly steps: number;
  /** The highest learning rate; it falls as a cosine. */
  readonly rate: number;
  /** Samples a step. */
  readonly batch: number;
  readonly temperature?: number;
  readonly seed?: number;
  readonly threads?: number;
  /** Where checkpoints are kept; absent: none are. */
  readonly checkpoint?: string;
  readonly signal?: AbortSignal;
  readonly onStep?: (point: CurvePoint, phase: string, steps: number) => void;
}

export interface FinetuneReport {
  readonly model: string;
  readonly bits: number;
  readonly blockSize?: number;
  readonly freeze: Freeze;
  readonly loss: Loss;
  readonly samples: { readonly trained: number; readonly heldOut: number };
  /** Held-out loss of each freeze after a fifth of the steps, for `auto`. */
  readonly trials: readonly { readonly freeze: Freeze; readonly heldOut: number }[];
  /** Held-out loss with all weights at their nearest grid points, and after training. */
  readonly heldOut: { readonly before: number; readonly after: number };
  readonly curve: readonly CurvePoint[];
  readonly weights: readonly {
    readonly name: string;
    readonly roles: readonly string[];
    readonly frozen: boolean;
    readonly scales: number;
  }[];
  readonly files: FinetuneFiles;
}

/** Gradients are clipped to this norm. */
const CLIP = 1;
/** Steps over which squared gradients are summed, for `top-gradient`. */
const LOOKS = 4;

/**
 * @throws QuantcError E_FINETUNE_WEIGHTS for a model without products, E_FINETUNE_DATA for too few samples,
 * E_FINETUNE_FREEZE, E_FINETUNE_STOPPED after a signal, E_FINETUNE_WORSE where rounding alone does as well; E_TRAINING_*, E_GRADIENT_*, E_DATA_*, E_RUNTIME_*
 */
export async function finetune(request: FinetuneRequest): Promise<FinetuneReport> {
  const model = readModel(request.model);
  const data = await dataToTrain(request, model);
  const feeds = await feedsToTrain(data, request.batch);
  const student = withoutSoftmax(await trainableModel(model, sizesOf(model, feeds.trained[0]!)));
  const candidates = candidatesOf(student, request);
  if (candidates.length === 0) {
    throw new QuantcError(
      'E_FINETUNE_WEIGHTS',
      'the model has no products or convolutions with weights of its own',
      {
        place: { file: request.model },
      },
    );
  }
  const loss = lossFor(student, request);
  const run = new Finetuning(request, student, candidates, feeds, loss, data.digest());
  const trials = request.freeze === 'auto' ? await run.trials() : [];
  const best = [...trials].sort((a, b) => a.heldOut - b.heldOut)[0];
  const freeze = best?.freeze ?? (request.freeze as Freeze);
  const { step, frozen } = await run.stepFor(freeze);
  const initial = new Map(step.slots.map((slot) => [slot.input, slot.initial]));
  const before = await run.heldOut(step, initial);
  const result = await run.train(step, freeze, request.steps);
  if (!result.done) throw stopped(request);
  const after = await run.heldOut(step, result.values);
  if (!(after < before)) throw worse(before, after);
  const open = await canonicalCopy(model);
  const training = {
    bits: request.bits,
    ...(request.blockSize !== undefined && { blockSize: request.blockSize }),
    freeze,
    loss,
    samples: { trained: feeds.trained.length * request.batch, heldOut: feeds.heldOut.length * request.batch },
    trials,
    heldOut: { before, after },
  };
  const files = await writeFinetuned(request, { model: open, candidates, frozen, result, training });
  return {
    model: basename(request.model),
    ...training,
    curve: result.curve,
    weights: candidates.map(({ name, roles, grid }) => ({
      name,
      roles,
      frozen: frozen.has(name),
      scales: grid.scale.count,
    })),
    files,
  };
}

const stopped = ({ checkpoint }: FinetuneRequest): QuantcError =>
  new QuantcError('E_FINETUNE_STOPPED', 'the training was stopped before its end', {
    hint: checkpoint ? 'The same command goes on where it stopped.' : 'With --checkpoint it could go on.',
  });

/** What is no better than rounding is not written. */
const worse = (before: number, after: number): QuantcError =>
  new QuantcError(
    'E_FINETUNE_WORSE',
    `the loss on held-out samples is ${after.toPrecision(4)} after training, and ${before.toPrecision(4)} with weights merely rounded`,
    { kind: 'proof', hint: 'Take a lower --rate, more --steps, or more samples.' },
  );

/** Losses read logits: a Softmax at the very end is left out. */
function withoutSoftmax(model: Model): Model {
  const [first, ...rest] = model.graph.outputs;
  let logits = first!;
  while (logits.producer?.is('Identity') || logits.producer?.is('Softmax'))
    logits = logits.producer.inputs[0]!;
  setGraphOutputs(model.graph, [logits, ...rest]);
  return model;
}

/** Words and classes are distributions; other outputs are compared as they are. */
function lossFor(student: Model, { temperature }: FinetuneRequest): Loss {
  const words =
    student.graph.outputs[0]!.shape?.length === 3 || student.graph.outputs[0]!.shape?.length === 2;
  return words ? { kind: 'distill', ...(temperature && { temperature }) } : { kind: 'logits-mse' };
}

class Finetuning {
  readonly #request: FinetuneRequest;
  readonly #student: Model;
  readonly #candidates: readonly Candidate[];
  readonly #feeds: FeedsToTrain;
  readonly #loss: Loss;
  readonly #digest: string;

  constructor(
    request: FinetuneRequest,
    student: Model,
    candidates: readonly Candidate[],
    feeds: FeedsToTrain,
    loss: Loss,
    digest: string,
  ) {
    this.#request = request;
    this.#student = student;
    this.#candidates = candidates;
    this.#feeds = feeds;
    this.#loss = loss;
    this.#digest = digest;
  }

  /** The step that trains everything but what a freeze holds. */
  async stepFor(freeze: Freeze): Promise<{ step: TrainingStep; frozen: ReadonlySet<string> }> {
    const squares = freeze === 'top-gradient' ? await this.#squares() : new Map<string, number>();
    const frozen = frozenNames(freeze, this.#candidates, () => squares);
    return { step: this.#step(frozen), frozen };
  }

  #step(frozen: ReadonlySet<string>): TrainingStep {
    return trainingStep(this.#student, {
      ...weightsOf(this.#candidates, frozen),
      loss: this.#loss,
      teacher: this.#student,
      optimizer: { kind: 'adamw' },
      clipNorm: CLIP,
    });
  }

  /** Mean squared gradient of each weight at the start: Adam's own sums, taken at a rate of nothing. */
  async #squares(): Promise<ReadonlyMap<string, number>> {
    const step = this.#step(new Set());
    const session = await TrainingSession.open(step, { threads: this.#request.threads });
    try {
      for (let look = 0; look < LOOKS; look++) await session.run(look, 0, this.#batch(look));
      const found = new Map<string, number>();
      for (const slot of step.slots) {
        if (!slot.input.startsWith('state/weight/') || !slot.input.endsWith('/square')) continue;
        const squares = session.valueOf(slot).toFloat32();
        found.set(slot.of, squares.reduce((sum, each) => sum + each, 0) / squares.length);
      }
      return found;
    } finally {
      await session.release();
    }
  }

  #batch(step: number): Readonly<Record<string, Tensor>> {
    return batchOf(this.#feeds.trained, this.#request.seed ?? 1, step);
  }

  heldOut(step: TrainingStep, values: ReadonlyMap<string, Tensor>): Promise<number> {
    return heldOutLoss(step, values, this.#feeds.heldOut, { threads: this.#request.threads });
  }

  /** Each freeze for a fifth of the steps. */
  async trials(): Promise<{ freeze: Freeze; heldOut: number }[]> {
    const steps = Math.max(1, Math.ceil(this.#request.steps / 5));
    const hasAttention = this.#candidates.some(({ roles }) => roles.includes('v'));
    const tried: { freeze: Freeze; heldOut: number }[] = [];
    for (const freeze of FREEZES) {
      if (!hasAttention && (freeze === 'ov' || freeze === 'qkv')) continue;
      const { step } = await this.stepFor(freeze);
      const result = await this.train(step, `trial-${freeze}`, steps);
      if (!result.done) throw stopped(this.#request);
      tried.push({ freeze, heldOut: await this.heldOut(step, result.values) });
    }
    return tried;
  }

  train(step: TrainingStep, phase: string, steps: number): Promise<TrainingResult> {
    const { rate, threads, seed = 1, batch, checkpoint, signal, onStep } = this.#request;
    const key = JSON.stringify([phase, this.#digest, seed, batch]);
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
