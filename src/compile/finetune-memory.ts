/** What a training takes of memory, as far as it can be told beforehand. */
import { QuantcError } from '../errors/error.js';
import { byteLengthOf } from '../ir/dtype.js';
import type { Model, Node } from '../ir/graph.js';
import { isStatic } from '../ir/type.js';

/**
 * Times the bytes of a weight that is trained: value, mean and square before a step and after it, the gradient, three on
 * the way to the grid and back, and the teacher's.
 */
const TRAINED = 11;
/** Times the bytes of what nodes give: forward, kept for the way back, and the gradient. */
const ACTIVATIONS = 2;

/** Bytes that training some weights takes, beside the model itself. */
export function trainingBytes(model: Model, nodes: Iterable<Node>, weights: ReadonlySet<string>): number {
  let trained = 0;
  for (const { name, constant } of model.graph.initializers)
    if (weights.has(name)) trained += constant?.byteLength ?? 0;
  let activations = 0;
  for (const { outputs } of nodes) {
    for (const { type, shape } of outputs) {
      if (type?.kind !== 'tensor' || !isStatic(shape)) continue;
      activations += byteLengthOf(
        type.dtype,
        shape.reduce((product, size) => product * size, 1),
      );
    }
  }
  return TRAINED * trained + ACTIVATIONS * activations;
}

/** @throws QuantcError E_FINETUNE_MEMORY */
export function requireMemory(
  bytes: number,
  maxMemory: number | undefined,
  what: string,
  hint: string,
): void {
  if (maxMemory === undefined || bytes <= maxMemory) return;
  const mebibytes = (value: number): string => `${Math.ceil(value / 2 ** 20)} MiB`;
  throw new QuantcError(
    'E_FINETUNE_MEMORY',
    `${what} takes about ${mebibytes(bytes)}, and --max-memory allows ${mebibytes(maxMemory)}`,
    { kind: 'usage', hint },
  );
}
