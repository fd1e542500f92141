/**
 * Finetuning: trains a float model's weights on the grid that they will be stored on, the float model being its own
 * teacher (KD-QAT). What is written is the canonical float model with weights that lie on their grids, and the grids.
 */
import { basename } from 'node:path';
import type { DataSet } from '../../calibration/dataset.js';
import { QuantcError } from '../../errors/error.js';
import type { Model } from '../../ir/graph.js';
import { readModel } from '../../onnx/read.js';
import type { CurvePoint } from '../../training/curve.js';
import type { Loss } from '../../training/losses.js';
import type { Augmentation } from './augment.js';
import {
  type BlockChoice,
  type BlockwiseReport,
  refuseBeyondMemory,
  refuseWithBlocks,
  trainBlockwise,
} from './blocks.js';
import { dataToTrain, feedsToTrain, sizesOf } from './data.js';
import { defaultsFor } from './defaults.js';
import { lossFor, withoutSoftmax } from './loss.js';
import { type FinetuneFiles, writeFinetuned } from './output.js';
import {
  bitsFor,
  candidatesOf,
  type Freeze,
  floatsOf,
  gridWeights,
  keptWeights,
  type Start,
} from './plan.js';
import { type FinetuneParts, Finetuning, trainWhole } from './run.js';
import { roundedStarts, type StartMethod } from './start.js';
import { type StaticGrids, staticGrids } from './static.js';
import { canonicalCopy, trainableModel } from './trainable.js';

export interface FinetuneRequest {
  /** Path of the float model. */
  readonly model: string;
  /** Data as of `compile --calib`; no labels are needed. Absent: texts that a decoder draws from itself. */
  readonly calib?: string;
  /** Texts that a decoder draws from itself, beside `calib` or alone: more of them is what small models want most. */
  readonly ownTexts?: number;
  /** Path of the .onnx to write. */
  readonly out: string;
  /** 2 to 8. */
  readonly bits: number;
  /**
   * Name of the target whose integer kernels the model is for: activations too are put on the grids that they will have
   * there (static int8), and weights on those that these kernels read. Absent: weights alone.
   */
  readonly static?: string;
  /** How pictures are moved at random before each step; default not at all. */
  readonly augment?: readonly Augmentation[];
  /** Elements along the inputs of a product that share a scale; absent: one scale an output channel. */
  readonly blockSize?: number;
  /** What is kept in 8 or 16 bits, as of `compile --protect`: `ov:int8`, `lm-head`. */
  readonly protect?: readonly string[];
  /** Weights as another method left them, by name of the initializer in the canonical model. */
  readonly start?: ReadonlyMap<string, Start>;
  /** Where the others start; default `auto`. */
  readonly startFrom?: StartMethod;
  /** `auto`: each is tried for a tenth of the steps, and the one with the least held-out loss is taken. */
  readonly freeze: Freeze | 'auto';
  /** Default: by bits, see `defaults.ts`. */
  readonly steps?: number;
  /** The highest learning rate; it falls as a cosine. Default: by bits. */
  readonly rate?: number;
  /** Samples a step. */
  readonly batch: number;
  readonly temperature?: number;
  /** Share of the labels in the loss of words and classes, from 0 (the default) to 1: next tokens, or those of the data. */
  readonly labels?: number;
  /** Of weights and floats, not of scales; default 0. */
  readonly weightDecay?: number;
  /** What else learns and stays float: gains and offsets of normalizations, biases. Default true. */
  readonly floats?: boolean;
  /**
   * Tables that are looked up, and weights that `protect` keeps in 16 bits, learn too, at a third of the rate. A head that
   * was its table turned around is then another tensor. Default false.
   */
  readonly tables?: boolean;
  readonly seed?: number;
  readonly threads?: number;
  /** Trains block after block, then scales alone, for models too large to be trained whole; absent: the whole at once. */
  readonly blocks?: BlockChoice;
  /** Bytes that training may take, by estimate; what runs between blocks goes to files where it asks for much of them. */
  readonly maxMemory?: number;
  /** Where checkpoints are kept; absent: none are. */
  readonly checkpoint?: string;
  readonly signal?: AbortSignal;
  readonly onStep?: (point: CurvePoint, phase: string, steps: number) => void;
}

export interface FinetuneReport {
  readonly model: string;
  readonly bits: number;
  /** The target whose grids activations were put on, and how many grids. */
  readonly static?: { readonly target: string; readonly precision: string; readonly grids: number };
  readonly blockSize?: number;
  readonly freeze: Freeze;
  readonly loss: Loss;
  readonly steps: number;
  readonly rate: number;
  readonly samples: { readonly trained: number; readonly heldOut: number };
  /** Held-out loss of each freeze after a tenth of the steps, for `auto`. */
  readonly trials: readonly { readonly freeze: Freeze; readonly heldOut: number }[];
  /** Held-out loss with all weights at their nearest grid points, and after training. */
  readonly heldOut: { readonly before: number; readonly after: number };
  readonly curve: readonly CurvePoint[];
  /** What became of each block, where it was trained so: the curve has the steps of each, and then those of scales. */
  readonly blockwise?: BlockwiseReport;
  readonly weights: readonly {
    readonly name: string;
    readonly roles: readonly string[];
    readonly bits: number;
    readonly frozen: boolean;
    readonly scales: number;
  }[];
  readonly files: FinetuneFiles;
}

/** A finetuning that could begin, and what it was made of. */
export interface PreparedFinetuning {
  readonly run: Finetuning;
  readonly parts: FinetuneParts;
  /** The canonical model with open sizes, which trained values are written into. */
  readonly open: Model;
}

/**
 * @throws QuantcError E_FINETUNE_WEIGHTS for a model without products, E_FINETUNE_DATA for too few samples,
 * E_FINETUNE_FREEZE, E_FINETUNE_STOPPED after a signal, E_FINETUNE_WORSE where rounding alone does as well,
 * E_FINETUNE_MEMORY beyond `maxMemory`, E_FINETUNE_BLOCKS for what blocks do not go with; E_PROTECT_*, E_TRAINING_*, E_GRADIENT_*, E_DATA_*, E_RUNTIME_*
 */
export async function finetune(request: FinetuneRequest): Promise<FinetuneReport> {
  const prepared = await prepareFinetuning(request);
  const { parts, open } = prepared;
  const { settings, candidates, feeds, loss, statics } = parts;
  const { result, freeze, frozen, trials, heldOut, blockwise } = request.blocks
    ? { ...(await trainBlockwise(request, prepared)), trials: [] }
    : { ...(await trainWhole(prepared.run, parts, request.freeze)), blockwise: undefined };
  if (!(heldOut.after < heldOut.before)) throw worse(heldOut.before, heldOut.after);
  const training = {
    bits: request.bits,
    ...(statics && {
      static: { target: statics.target, precision: statics.precision, grids: statics.activations.length },
    }),
    ...(request.blockSize !== undefined && { blockSize: request.blockSize }),
    freeze,
    loss,
    steps: settings.steps,
    rate: settings.rate,
    samples: { trained: feeds.samples, heldOut: feeds.heldOutSamples },
    trials,
    heldOut,
    ...(blockwise && { blockwise }),
  };
  const files = await writeFinetuned(request, { model: open, parts, frozen, result, training });
  return {
    model: basename(request.model),
    ...training,
    curve: result.curve,
    weights: candidates.map(({ name, roles, bits, grid }) => ({
      ...{ name, roles, bits },
      frozen: frozen.has(name),
      scales: grid.scale.count,
    })),
    files,
  };
}

/** Everything up to the first step: samples, weights where they start, and what learns. Errors as of {@link finetune}. */
export async function prepareFinetuning(request: FinetuneRequest): Promise<PreparedFinetuning> {
  refuseWithStatic(request);
  refuseWithBlocks(request);
  const model = readModel(request.model);
  const sets = await dataToTrain(request, model);
  const feeds = await feedsToTrain(sets, request.batch, (request.labels ?? 0) > 0);
  const student = withoutSoftmax(await trainableModel(model, sizesOf(model, feeds.heldOut[0]!)));
  const loss = lossFor(student, request);
  const open = await canonicalCopy(model);
  const kept = keptWeights(student, request.protect ?? []);
  const statics = await staticsFor(request, model, feeds.trained);
  const choice = {
    bits: request.bits,
    kept,
    ...(request.blockSize && { blockSize: request.blockSize }),
    ...(statics && { forms: statics.weights }),
  };
  refuseBeyondMemory(request, student, new Set(gridWeights(student, choice).map(({ name }) => name)));
  const start = await startsFor(request, open, feeds.trained, (name) => bitsFor(choice, name));
  const candidates = candidatesOf(student, {
    ...choice,
    start: new Map([...(statics?.start.weights ?? []), ...start]),
  });
  if (candidates.length === 0) {
    throw new QuantcError(
      'E_FINETUNE_WEIGHTS',
      'the model has no products or convolutions with weights of its own',
      { place: { file: request.model } },
    );
  }
  const { steps, rate } = defaultsFor(student, request.bits, (statics?.start.weights.size ?? 0) > 0);
  const tables = request.tables
    ? new Set([...kept].flatMap(([name, to]) => (to === 'fp16' ? [name] : [])))
    : undefined;
  const parts: FinetuneParts = {
    settings: { ...request, steps: request.steps ?? steps, rate: request.rate ?? rate },
    ...{ student, candidates, feeds, loss },
    ...(statics && { statics }),
    kept: [...kept].filter(([, precision]) => precision === 'fp16').map(([name]) => name),
    floats: request.floats === false ? [] : floatsOf(student, open, tables),
    digest: sets.map((set) => set.digest()).join('+'),
  };
  return { run: new Finetuning(parts), parts, open };
}

async function staticsFor(
  { static: target, bits, startFrom, threads, signal }: FinetuneRequest,
  model: Model,
  data: DataSet,
): Promise<StaticGrids | undefined> {
  if (target === undefined) return undefined;
  return staticGrids(model, target, data.rebatched(1), {
    ...{ bits, round: startFrom !== 'rtn' },
    ...(threads !== undefined && { threads }),
    ...(signal && { signal }),
  });
}

/** What integer kernels have no form for. */
function refuseWithStatic({
  static: target,
  bits,
  blockSize,
  protect = [],
  startFrom = 'auto',
}: FinetuneRequest): void {
  if (target === undefined) return;
  const wrong =
    (blockSize !== undefined && 'blocks of weights') ||
    (!(bits >= 2 && bits <= 8) && `weights of ${bits} bits`) ||
    (protect.length > 0 && 'weights that are kept in other bits') ||
    (startFrom !== 'auto' && startFrom !== 'rtn' && `a start from ${startFrom}`);
  if (!wrong) return;
  throw new QuantcError('E_FINETUNE_STATIC', `static integers know no ${wrong}`, {
    kind: 'usage',
    hint: 'Leave it out, or train weights alone, without --static.',
  });
}

/** Where weights start: what the request says of them, else where its method leaves them. */
async function startsFor(
  { start, startFrom = 'auto', blockSize, threads, static: target }: FinetuneRequest,
  open: Model,
  data: DataSet,
  bitsOf: (name: string) => number | undefined,
): Promise<ReadonlyMap<string, Start>> {
  if (startFrom === 'rtn' || target !== undefined) return start ?? new Map();
  const found = await roundedStarts(open, data, {
    method: startFrom === 'auto' ? 'gptq' : startFrom,
    bitsOf: (name) => (start?.has(name) ? undefined : bitsOf(name)),
    ...(blockSize !== undefined && { blockSize }),
    ...(threads !== undefined && { threads }),
  });
  return new Map([...found, ...(start ?? [])]);
}

/** What is no better than rounding is not written. */
const worse = (before: number, after: number): QuantcError =>
  new QuantcError(
    'E_FINETUNE_WORSE',
    `the loss on held-out samples is ${after.toPrecision(4)} after training, and ${before.toPrecision(4)} with weights merely rounded`,
    { kind: 'proof', hint: 'Take a lower --rate, more --steps, or more samples.' },
  );
