/** A lane in another thread, as this thread sees it. */
import type { Worker } from 'node:worker_threads';
import { QuantcError } from '../errors/error.js';
import { revivedError } from '../errors/plain.js';
import type { Tensor } from '../ir/tensor.js';
import { startWorker } from '../kernels/start-worker.js';
import type { Histogram } from './histogram.js';
import type { LaneJob } from './lane.js';
import { type Answer, type Order, plainFeeds } from './lane-message.js';

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** Sends samples to a thread and hands its answers on, which come in the order in which they were asked for. */
export class LaneThread {
  readonly #worker: Worker;
  readonly #waiting: Waiting[] = [];
  readonly #ended: Promise<void>;
  #lost: QuantcError | undefined;

  constructor(job: LaneJob) {
    this.#worker = startWorker(new URL('./lane-worker', import.meta.url));
    this.#worker.postMessage({ kind: 'open', job } satisfies Order);
    this.#worker.on('message', (answer: Answer) => {
      const first = this.#waiting.shift();
      if (answer.kind === 'error') first?.reject(revivedError(answer.error));
      else first?.resolve(answer);
    });
    this.#worker.on('error', (cause: Error) => this.#lose(cause.message));
    this.#ended = new Promise((resolve) => {
      this.#worker.on('exit', (code) => {
        this.#lose(`it ended with exit code ${code}`);
        resolve();
      });
    });
  }

  /** Samples that it was sent and has not answered for. */
  get load(): number {
    return this.#waiting.length;
  }

  /** As `Lane.observe`. @throws QuantcError F_CALIBRATION_WORKER when the thread died */
  async observe(feeds: Readonly<Record<string, Tensor>>): Promise<Float64Array> {
    const answer = await this.#ask({ kind: 'observe', feeds: plainFeeds(feeds) });
    return (answer as Extract<Answer, { kind: 'seen' }>).extremes;
  }

  /** As `Lane.histograms`. */
  async histograms(): Promise<readonly (Histogram | undefined)[]> {
    const answer = await this.#ask({ kind: 'finish' });
    return (answer as Extract<Answer, { kind: 'histograms' }>).histograms;
  }

  /** Ends the thread after what it is doing now. */
  async close(): Promise<void> {
    this.#worker.postMessage({ kind: 'close' } satisfies Order);
    await this.#ended;
  }

  #ask(order: Order): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#lost !== undefined) {
        reject(this.#lost);
        return;
      }
      this.#waiting.push({ resolve, reject });
      this.#worker.postMessage(order);
    });
  }

  #lose(message: string): void {
    this.#lost ??= new QuantcError('F_CALIBRATION_WORKER', `a thread of calibration is lost: ${message}`, {
      kind: 'fault',
    });
    for (const { reject } of this.#waiting.splice(0)) reject(this.#lost);
  }
}
