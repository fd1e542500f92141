/** Finetuning block by block: for models too large to be trained whole. */
import { QuantcError } from '../../errors/error.js';
import type { Segment } from '../../training/block-cuts.js';
import type { TrainingResult } from '../../training/loop.js';
import { DEFAULT_MEMORY } from '../pool.js';
import { blocksOf } from './block-plan.js';
import { BlockChain, type BlockReport } from './chain.js';
import type { FinetuneRequest, PreparedFinetuning } from './finetune.js';
import { blocksBytes, requireMemory, scalesBytes, wholeBytes } from './memory.js';
import { type Freeze, frozenNames } from './plan.js';
import type { FinetuneParts } from './run.js';
import { trainScales } from './scales.js';

/** How a model is trained block by block. */
export interface BlockChoice {
  /** Layers to a block; default 1. */
  readonly layers?: number;
  /** Steps that the scales of all weights are trained together afterwards; 0: none. Default a quarter of the steps. */
  readonly scaleSteps?: number;
}

export interface BlockwiseReport {
  readonly blocks: readonly BlockReport[];
  /** How the scales of all went on together; a reason where they did not. */
  readonly scales:
    | {
        readonly steps: number;
        readonly heldOut: { readonly before: number; readonly after: number };
        readonly taken: boolean;
      }
    | { readonly skipped: string };
}

export interface BlockwiseTraining {
  readonly result: TrainingResult;
  readonly freeze: Freeze;
  readonly frozen: ReadonlySet<string>;
  /** The whole model's loss on samples held out. */
  readonly heldOut: { readonly before: number; readonly after: number };
  readonly blockwise: BlockwiseReport;
}

/** One scale step for so many steps of a block. */
const SCALE_SHARE = 4;
/** Of the memory allowed, what may be held of what runs between blocks. */
const STREAM_SHARE = 4;

/** @throws QuantcError E_FINETUNE_BLOCKS for what goes with the whole model alone */
export function refuseWithBlocks({ blocks, static: target, augment = [], freeze }: FinetuneRequest): void {
  if (blocks === undefined) return;
  const wrong =
    (target !== undefined && 'activations on grids') ||
    (augment.length > 0 && 'pictures that are moved anew each step') ||
    (freeze === 'top-gradient' && 'gradients of the whole model, which top-gradient asks for');
  if (!wrong) return;
  throw new QuantcError('E_FINETUNE_BLOCKS', `block by block there are no ${wrong}`, {
    kind: 'usage',
    hint: 'Leave it out, or train the model whole.',
  });
}

/**
 * Refuses what `maxMemory` has no room for: the whole, or the largest block. Estimates, before anything is rounded.
 * @param weights names of those that go on grids
 * @throws QuantcError E_FINETUNE_MEMORY
 */
export function refuseBeyondMemory(
  { blocks, maxMemory }: Pick<FinetuneRequest, 'blocks' | 'maxMemory'>,
  student: FinetuneParts['student'],
  weights: ReadonlySet<string>,
): void {
  if (maxMemory === undefined) return;
  if (blocks === undefined) {
    const hint = 'Train it block by block: --blocks.';
    requireMemory(wholeBytes(student, weights), maxMemory, 'training the model whole', hint);
    return;
  }
  const parts = blocksOf(student, weights, blocks.layers ?? 1);
  const hint =
    parts.length === 1
      ? 'The model cannot be cut; take smaller batches: --batch.'
      : 'Take smaller batches (--batch), or fewer layers a block (--block-layers).';
  requireMemory(blocksBytes(student, parts, weights), maxMemory, 'training block by block', hint);
}

/**
 * Trains blocks, then scales. Errors as of `finetune`.
 * @param request `freeze` `auto` is `none` here
 */
export async function trainBlockwise(
  { blocks: choice = {}, freeze: asked, maxMemory }: FinetuneRequest,
  { parts }: Pick<PreparedFinetuning, 'parts'>,
): Promise<BlockwiseTraining> {
  const { student, candidates, feeds, settings } = parts;
  const freeze = asked === 'auto' ? 'none' : asked;
  const frozen = frozenNames(freeze, candidates, () => new Map());
  const names = new Set(candidates.map(({ name }) => name));
  const blocks = blocksOf(student, names, choice.layers ?? 1);
  const batches = feeds.batches + feeds.heldOut.length;
  const widest = Math.max(0, ...blocks.slice(0, -1).map(({ to }) => bytesPerBatch(to)));
  // A stream of floats and one of quantized values, each as it was and as it comes to be.
  const inMemory = 4 * batches * widest <= (maxMemory ?? DEFAULT_MEMORY) / STREAM_SHARE;
  const chain = await new BlockChain(parts, { blocks, frozen, inMemory }).run();
  const steps = choice.scaleSteps ?? Math.ceil(settings.steps / SCALE_SHARE);
  const skipped = reasonToSkip();
  const scales = skipped === undefined ? await trainScales(parts, chain, { frozen, steps }) : undefined;
  const { settled, floats } = scales ?? chain;
  const values = new Map([...student.graph.initializers].map((value) => [value.name, value.constant]));
  const result: TrainingResult = {
    curve: [...chain.curve, ...(scales?.curve ?? [])].map((point, step) => ({ ...point, step })),
    ...{ values: new Map(), done: true },
    trainedWeights: new Map([
      ...[...settled].map(([name, { weight }]) => [name, weight] as const),
      ...parts.floats.map((name) => [name, floats.get(name) ?? values.get(name)!] as const),
    ]),
    trainedScales: new Map([...settled].map(([name, { grid }]) => [name, grid.scale])),
  };
  const after = scales?.taken ? scales.heldOut.after : chain.heldOut.after;
  return {
    ...{ result, freeze, frozen, heldOut: { before: chain.heldOut.before, after } },
    blockwise: {
      blocks: chain.blocks,
      scales: scales ? { steps, heldOut: scales.heldOut, taken: scales.taken } : { skipped: skipped! },
    },
  };

  function reasonToSkip(): string | undefined {
    if (steps === 0) return 'no steps were asked for';
    if (frozen.size === candidates.length) return 'all weights are held';
    return scalesBytes(student, names) <= (maxMemory ?? Number.POSITIVE_INFINITY)
      ? undefined
      : 'all of them together take more memory than is allowed';
  }
}

const bytesPerBatch = ({ shape }: Segment['to']): number =>
  4 * (shape ?? []).reduce<number>((product, size) => product * (typeof size === 'number' ? size : 1), 1);
