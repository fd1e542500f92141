/**
 * Training block after block (Block-AP of EfficientQAT, Chen et al. 2024). What comes to a block is what the quantized
 * blocks before it give; what it is to answer is what the float model has there. The last block's loss is that of the
 * whole model. Only one block is in training, and what runs between blocks may lie in files.
 */
import { createHash } from 'node:crypto';
import type { Tensor } from '../../ir/tensor.js';
import type { Segment } from '../../training/block-cuts.js';
import { type BlockModel, blockModel } from '../../training/block-model.js';
import { type BlockTarget, blockStep, TEACHER } from '../../training/block-step.js';
import { BlockStream } from '../../training/block-stream.js';
import type { CurvePoint } from '../../training/curve.js';
import { putOnGrid } from '../../training/fit-grid.js';
import { heldOutLoss } from '../../training/held-out.js';
import { type TrainingFeed, type TrainingResult, train } from '../../training/loop.js';
import type { Settled } from '../../training/scales-alone.js';
import { rateAt } from '../../training/schedule.js';
import type { TrainingStep } from '../../training/step.js';
import { type Feed, orderOf } from './data.js';
import { type Candidate, weightsOf } from './plan.js';
import { CLIP, type FinetuneParts, stopped } from './run.js';

/** What became of a block. */
export interface BlockReport {
  /** Name of the value that it ends with. */
  readonly to: string;
  readonly weights: readonly string[];
  readonly steps: number;
  /** Of the last block the loss of the model; of others the squared error as a share of what the float model has there. */
  readonly heldOut: { readonly before: number; readonly after: number };
  /** False where training made it worse: then it stays as it began. */
  readonly taken: boolean;
}

export interface ChainResult {
  /** Weights on their grids, and what stays float, by name. */
  readonly settled: ReadonlyMap<string, Settled>;
  readonly floats: ReadonlyMap<string, Tensor>;
  readonly curve: readonly CurvePoint[];
  readonly blocks: readonly BlockReport[];
  /** The whole model's loss on samples held out: as it began, and as it is. */
  readonly heldOut: { readonly before: number; readonly after: number };
  /** Decided by all that was trained. */
  readonly digest: string;
}

export interface ChainOptions {
  readonly blocks: readonly Segment[];
  readonly frozen: ReadonlySet<string>;
  /** Whether what runs between blocks is held in memory. */
  readonly inMemory: boolean;
}

/** One block on its way through the chain. */
interface Part {
  readonly name: string;
  readonly segment: Segment;
  readonly model: BlockModel;
  readonly candidates: readonly Candidate[];
  readonly floats: readonly string[];
}

export class BlockChain {
  readonly #parts: FinetuneParts;
  readonly #options: ChainOptions;
  readonly #settled = new Map<string, Settled>();
  readonly #floats = new Map<string, Tensor>();
  readonly #curve: CurvePoint[] = [];
  readonly #reports: BlockReport[] = [];
  readonly #trained = createHash('sha256');
  /** The float model, the quantized one, and the one that is rounded only, which held-out batches alone run through. */
  readonly #float: BlockStream;
  readonly #quantized: BlockStream;
  readonly #rounded: BlockStream;

  constructor(parts: FinetuneParts, options: ChainOptions) {
    this.#parts = parts;
    this.#options = options;
    const { feeds, settings } = parts;
    const { inMemory } = options;
    const { threads } = settings;
    const shared = { feedOf: this.#feedOf, inMemory, ...(threads !== undefined && { threads }) };
    const all = Array.from({ length: feeds.batches + feeds.heldOut.length }, (_, batch) => batch);
    this.#float = new BlockStream({ ...shared, batches: all });
    this.#quantized = new BlockStream({ ...shared, batches: all });
    this.#rounded = new BlockStream({ ...shared, batches: all.slice(feeds.batches) });
  }

  /** @throws QuantcError E_FINETUNE_STOPPED, E_TRAINING_*, E_RUNTIME_* */
  async run(): Promise<ChainResult> {
    const { blocks } = this.#options;
    let heldOut = { before: 0, after: 0 };
    try {
      for (const [at, segment] of blocks.entries()) {
        const part = this.#partOf(segment, `block-${at + 1}`);
        if (at < blocks.length - 1) await this.#inner(part);
        else heldOut = await this.#last(part);
      }
    } finally {
      for (const stream of [this.#float, this.#quantized, this.#rounded]) stream.release();
    }
    return {
      ...{ settled: this.#settled, floats: this.#floats, curve: this.#curve, blocks: this.#reports, heldOut },
      digest: this.#trained.digest('hex'),
    };
  }

  /** Batches by number: those to train on, always cut alike, and those held out behind them. */
  #feedOf = async (batch: number): Promise<Feed> => {
    const { feeds, settings } = this.#parts;
    const { batches } = feeds;
    return batch < batches ? feeds.batchOf(settings.seed ?? 1, batch) : feeds.heldOut[batch - batches]!;
  };

  #partOf(segment: Segment, name: string): Part {
    const { student, candidates, floats } = this.#parts;
    const own = new Set(segment.nodes);
    const values = new Map([...student.graph.initializers].map((value) => [value.name, value]));
    return {
      ...{ name, segment, model: blockModel(student, segment) },
      candidates: candidates.filter((each) => segment.weights.includes(each.name)),
      // What several blocks read stays as it is.
      floats: floats.filter((each) => values.get(each)!.uses.every(({ node }) => own.has(node))),
    };
  }

  /** A block whose answers are to be those of the float model. */
  async #inner(part: Part): Promise<void> {
    const { feeds } = this.#parts;
    let [sum, count] = [0, 0];
    await this.#float.advance(part.model, (batch, tensor) => {
      if (batch >= feeds.batches) return;
      sum += tensor.toFloat32().reduce((total, each) => total + each * each, 0);
      count += tensor.count;
    });
    const step = this.#step(part, { kind: 'answers', unit: sum / count || 1 });
    await this.#train(part, step);
    const now = new Map(this.#floats);
    for (const { name } of part.candidates) now.set(name, this.#settled.get(name)!.weight);
    const { student } = this.#parts;
    await this.#quantized.advance(blockModel(student, part.segment, now));
    const begun = part.candidates.map(
      ({ name, weight, grid }) => [name, putOnGrid(weight, grid).values] as const,
    );
    await this.#rounded.advance(blockModel(student, part.segment, new Map(begun)));
  }

  /** The block whose answers are the model's: its loss tells of the whole. */
  async #last(part: Part): Promise<{ before: number; after: number }> {
    const { loss } = this.#parts;
    const step = this.#step(part, { kind: 'inputs', loss });
    const before = await this.#heldOut(part, step, initialOf(step), this.#rounded);
    return { before, after: await this.#train(part, step) };
  }

  #step({ model, candidates, floats }: Part, target: BlockTarget): TrainingStep {
    const { settings, student } = this.#parts;
    const { weightDecay } = settings;
    return blockStep(model, target, {
      ...weightsOf(candidates, this.#options.frozen, floats, student),
      optimizer: { kind: 'adamw', ...(weightDecay && { weightDecay }) },
      clipNorm: CLIP,
    });
  }

  /** What a block's step reads in a batch, coming along one of the streams. */
  async #feed(
    { model }: Part,
    step: TrainingStep,
    batch: number,
    stream: BlockStream,
  ): Promise<TrainingFeed> {
    const taught = step.model.graph.inputs.some(({ name }) => name === TEACHER);
    return {
      ...(await stream.feed(model, batch)),
      ...(taught && { [TEACHER]: this.#float.at(batch) }),
      ...(step.labels && { labels: (await this.#feedOf(batch))['labels']! }),
    };
  }

  #heldOut(
    part: Part,
    step: TrainingStep,
    values: ReadonlyMap<string, Tensor>,
    stream = this.#quantized,
  ): Promise<number> {
    const { feeds, settings } = this.#parts;
    const feedAt = (batch: number) => this.#feed(part, step, batch, stream);
    async function* held(): AsyncGenerator<TrainingFeed> {
      for (let at = 0; at < feeds.heldOut.length; at++) yield await feedAt(feeds.batches + at);
    }
    return heldOutLoss(step, values, held(), { threads: settings.threads });
  }

  /** Trains a block, and keeps what it was before where that was better. @returns its loss on samples held out */
  async #train(part: Part, step: TrainingStep): Promise<number> {
    const { settings, feeds, digest } = this.#parts;
    const { steps, rate, threads, seed = 1, batch, checkpoint, signal, onStep } = settings;
    const before = await this.#heldOut(part, step, initialOf(step));
    const key = JSON.stringify([
      'blocks',
      part.name,
      digest,
      seed,
      batch,
      this.#trained.copy().digest('hex'),
    ]);
    const result = await train(step, {
      steps,
      batch: (index) => {
        const order = orderOf(feeds.batches, seed, Math.floor(index / feeds.batches));
        return this.#feed(part, step, order[index % feeds.batches]!, this.#quantized);
      },
      rate: (index) => rateAt({ rate, steps, warmup: Math.min(10, Math.floor(steps / 10)) }, index),
      ...(threads !== undefined && { threads }),
      ...(checkpoint !== undefined && { checkpoint: { folder: `${checkpoint}/${part.name}`, key } }),
      ...(signal && { signal }),
      onStep: (point) => onStep?.(point, part.name, steps),
    });
    if (!result.done) throw stopped(settings);
    const after = await this.#heldOut(part, step, result.values);
    const taken = after < before;
    this.#keep(part, taken ? result : undefined);
    this.#curve.push(...result.curve);
    const { to, weights } = part.segment;
    this.#reports.push({ to: to.name, weights, steps, heldOut: { before, after }, taken });
    return taken ? after : before;
  }

  #keep({ candidates, floats }: Part, result: TrainingResult | undefined): void {
    const { frozen } = this.#options;
    for (const { name, weight, grid } of candidates) {
      const trained = frozen.has(name) ? undefined : result;
      const own = { ...grid, scale: trained?.trainedScales.get(name) ?? grid.scale };
      const put = putOnGrid(trained?.trainedWeights.get(name) ?? weight, own);
      this.#settled.set(name, { name, weight: put.values, grid: own });
      this.#trained.update(put.values.bytes()).update(own.scale.bytes());
    }
    for (const name of floats) {
      const trained = result?.trainedWeights.get(name);
      if (trained === undefined) continue;
      this.#floats.set(name, trained);
      this.#trained.update(trained.bytes());
    }
  }
}

const initialOf = ({ slots }: TrainingStep): Map<string, Tensor> =>
  new Map(slots.map(({ input, initial }) => [input, initial]));
