/** What runs along a chain of blocks: for each batch, what the blocks so far have made of it. */
import type { Tensor } from '../ir/tensor.js';
import { openSession } from '../runtime/session.js';
import type { BlockModel } from './block-model.js';
import { BatchStore } from './block-store.js';
import type { TrainingFeed } from './loop.js';

export interface StreamOptions {
  /** The batches that it runs with, by number. */
  readonly batches: readonly number[];
  /** What the whole model reads in a batch; the same every time. */
  readonly feedOf: (batch: number) => Promise<TrainingFeed>;
  /** Whether values between blocks are held in memory, or in temporary files. */
  readonly inMemory: boolean;
  readonly threads?: number;
}

export class BlockStream {
  readonly #options: StreamOptions;
  #store: BatchStore | undefined;

  constructor(options: StreamOptions) {
    this.#options = options;
  }

  /** What the last cut held in a batch. There is nothing before the first. */
  at(batch: number): Tensor {
    return this.#store!.get(batch);
  }

  /** What a block reads in a batch, by the names of its inputs. */
  async feed(block: BlockModel, batch: number): Promise<TrainingFeed> {
    const whole = block.beside.length > 0 ? await this.#options.feedOf(batch) : {};
    const feed = Object.fromEntries(block.beside.map((name) => [name, whole[name]!]));
    return block.from === undefined ? feed : { ...feed, [block.from]: this.at(batch) };
  }

  /**
   * Goes through a block with all batches.
   * @param seen what to look at as it comes out
   */
  async advance(block: BlockModel, seen?: (batch: number, tensor: Tensor) => void): Promise<void> {
    const { batches, inMemory, threads } = this.#options;
    const next = new BatchStore(inMemory);
    const session = await openSession(block.model, { ...(threads !== undefined && { threads }) });
    try {
      for (const batch of batches) {
        const tensor = (await session.run(await this.feed(block, batch)))[block.to]!;
        seen?.(batch, tensor);
        next.put(batch, tensor);
      }
    } catch (error) {
      next.remove();
      throw error;
    } finally {
      await session.release();
    }
    this.#store?.remove();
    this.#store = next;
  }

  release(): void {
    this.#store?.remove();
  }
}
