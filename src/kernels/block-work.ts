/** Weights in blocks, cut into tasks: all results of a weight that are asked for together come of one reading of it. */
import type { Tensor } from '../ir/tensor.js';
import type { BlockOutput, BlockSpec } from '../quant/block-weight.js';
import { bytesAColumn, type ColumnRange, piecesOf, streamBlocks } from './blocks.js';
import { type FilePlace, fileSink, memorySink, memorySource } from './endpoint.js';
import { sourceParts } from './source.js';
import type { BlockPlaces, Task, TaskResult } from './task.js';

/** Queues a task, which is made when its turn comes. @param size bytes of work @param held bytes of the answer */
export type RunTask = (make: () => Task, size: number, held: number) => Promise<TaskResult>;

/** Results of one weight that were asked for before work on it began. */
interface Order {
  readonly places: { -readonly [K in BlockOutput]?: FilePlace };
  done: Promise<void>;
  begun: boolean;
}

export class BlockWork {
  readonly #run: RunTask;
  readonly #orders = new Map<BlockSpec, Order>();

  constructor(run: RunTask) {
    this.#run = run;
  }

  /** Writes one result of a weight into a file. */
  place(input: Tensor, spec: BlockSpec, output: BlockOutput, place: FilePlace): Promise<void> {
    const waiting = this.#orders.get(spec);
    if (waiting !== undefined && !waiting.begun && waiting.places[output] === undefined) {
      waiting.places[output] = place;
      return waiting.done;
    }
    const order: Order = { places: { [output]: place }, done: Promise.resolve(), begun: false };
    this.#orders.set(spec, order);
    order.done = this.#fill(input, spec, order).finally(() => {
      if (this.#orders.get(spec) === order) this.#orders.delete(spec);
    });
    return order.done;
  }

  /** One result of a weight, in memory. */
  async materialize(input: Tensor, spec: BlockSpec, output: BlockOutput): Promise<Uint8Array> {
    const pieces = piecesOf(spec);
    const each = bytesAColumn(spec)[output];
    const bytes = new Uint8Array(pieces.reduce((sum, { count }) => sum + count, 0) * each);
    const from = sourceParts(input);
    if (from === undefined) {
      const source = memorySource(input.bytes());
      for (const piece of pieces) streamBlocks(source, spec, piece, { [output]: memorySink(bytes) });
      return bytes;
    }
    const { length } = from.range;
    const tasks = pieces.map(async (piece): Promise<void> => {
      const task: Task = { kind: 'blocks', from, spec, piece, want: output };
      const result = await this.#run(() => task, length / pieces.length, piece.count * each);
      bytes.set(result.bytes!, piece.first * each);
    });
    await all(tasks);
    return bytes;
  }

  async #fill(input: Tensor, spec: BlockSpec, order: Order): Promise<void> {
    const pieces = piecesOf(spec);
    const from = sourceParts(input);
    if (from === undefined) {
      // In a turn of its own: by then the other results have been asked for.
      await new Promise(setImmediate);
      order.begun = true;
      fillFrom(input, spec, pieces, order.places);
      return;
    }
    const { length } = from.range;
    const tasks = pieces.map((piece) => {
      const make = (): Task => {
        order.begun = true;
        return { kind: 'blocks', from, spec, piece, places: order.places };
      };
      return this.#run(make, length / pieces.length, 0);
    });
    await all(tasks);
  }
}

/** On this thread, from memory. */
function fillFrom(input: Tensor, spec: BlockSpec, pieces: readonly ColumnRange[], places: BlockPlaces): void {
  const source = memorySource(input.bytes());
  const sinks = sinksOf(places);
  try {
    for (const piece of pieces) streamBlocks(source, spec, piece, sinks);
  } finally {
    for (const sink of Object.values(sinks)) sink.close();
  }
}

/** A file sink for each place; those that are open already are closed when one cannot be. */
export function sinksOf(places: BlockPlaces): Partial<Record<BlockOutput, ReturnType<typeof fileSink>>> {
  const sinks: Partial<Record<BlockOutput, ReturnType<typeof fileSink>>> = {};
  try {
    for (const [output, place] of Object.entries(places)) sinks[output as BlockOutput] = fileSink(place);
  } catch (error) {
    for (const sink of Object.values(sinks)) sink.close();
    throw error;
  }
  return sinks;
}

/** Waits for all, come what may: when this answers, nothing works any more. Then throws the first error, if any. */
export async function all(tasks: readonly Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(tasks)).find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}
