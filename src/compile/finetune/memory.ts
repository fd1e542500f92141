/** What a training takes of memory beside the process itself, as far as it can be told beforehand. */
import { QuantcError } from '../../errors/error.js';
import { byteLengthOf } from '../../ir/dtype.js';
import type { Model, Node } from '../../ir/graph.js';
import { isStatic } from '../../ir/type.js';
import type { Segment } from '../../training/block-cuts.js';

/**
 * Times the bytes of a weight that is trained: value, mean and square before a step and after it (six), the gradient and
 * its square, the way to the grid and back, the teacher's, and what ONNX Runtime holds between. Measured:
 * `bench/block-memory.ts`.
 */
const TRAINED = 14;
/** Times the bytes of a weight whose scale alone is trained, with those of all others: integers, teacher, gradient. */
const SCALED = 9;
/** Times the bytes of all weights while blocks are trained: where they start, and as they are left. */
const KEPT = 2;
/** Times the bytes of what nodes give: kept for the way back, and the gradient. */
const ACTIVATIONS = 2;

function weightBytes(model: Model, weights: ReadonlySet<string>): number {
  let bytes = 0;
  for (const { name, constant } of model.graph.initializers)
    if (weights.has(name)) bytes += constant?.byteLength ?? 0;
  return bytes;
}

function activationBytes(nodes: Iterable<Node>): number {
  let bytes = 0;
  for (const { outputs } of nodes) {
    for (const { type, shape } of outputs) {
      if (type?.kind !== 'tensor' || !isStatic(shape)) continue;
      const count = shape.reduce((product, size) => product * size, 1);
      bytes += byteLengthOf(type.dtype, count);
    }
  }
  return ACTIVATIONS * bytes;
}

/** Bytes that training weights on grids takes, all at once. */
export const wholeBytes = (model: Model, weights: ReadonlySet<string>): number =>
  TRAINED * weightBytes(model, weights) + activationBytes(model.graph.nodes());

/** Bytes that training them block by block takes: the largest block, and what is kept of all. */
export function blocksBytes(model: Model, blocks: readonly Segment[], weights: ReadonlySet<string>): number {
  const each = blocks.map(
    (block) => TRAINED * weightBytes(model, new Set(block.weights)) + activationBytes(block.nodes),
  );
  return Math.max(...each) + KEPT * weightBytes(model, weights);
}

/** Bytes that training all scales together takes. */
export const scalesBytes = (model: Model, weights: ReadonlySet<string>): number =>
  SCALED * weightBytes(model, weights) + activationBytes(model.graph.nodes());

/** @throws QuantcError E_FINETUNE_MEMORY */
export function requireMemory(bytes: number, maxMemory: number, what: string, hint: string): void {
  if (bytes <= maxMemory) return;
  const mebibytes = (value: number): string => `${Math.ceil(value / 2 ** 20)} MiB`;
  throw new QuantcError(
    'E_FINETUNE_MEMORY',
    `${what} takes about ${mebibytes(bytes)}, and --max-memory allows ${mebibytes(maxMemory)}`,
    { kind: 'usage', hint },
  );
}
