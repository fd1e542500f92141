/** Worker threads that do tasks, started when the first one is dispatched. */
import type { Worker } from 'node:worker_threads';
import { QuantcError } from '../errors/error.js';
import { startWorker } from './start-worker.js';
import type { Task, TaskResult } from './task.js';
import type { Answer } from './worker.js';

interface Job {
  readonly resolve: (result: TaskResult) => void;
  readonly reject: (error: unknown) => void;
}

/** What is thrown to those who still wait when a pool is closed. */
export const closedError = (): QuantcError =>
  new QuantcError('F_KERNEL_CLOSED', 'the worker pool was closed', { kind: 'fault' });

/** Tasks that a thread is sent ahead, so that it need not wait for the sender to look up from work of its own. */
const DEPTH = 2;

interface Lane {
  readonly worker: Worker;
  /** Sent and not answered; answers come in the same order. */
  readonly jobs: Job[];
}

/** Up to a number of threads, started as tasks come. */
export class Threads {
  readonly #count: number;
  readonly #lanes: Lane[] = [];

  constructor(count: number) {
    this.#count = count;
  }

  /** Whether a task would be started soon. */
  get hasRoom(): boolean {
    return this.#lanes.length < this.#count || this.#lanes.some(({ jobs }) => jobs.length < DEPTH);
  }

  /** @throws what the task throws; QuantcError F_KERNEL_WORKER when a thread dies, F_KERNEL_CLOSED. */
  run(task: Task): Promise<TaskResult> {
    return new Promise((resolve, reject) => {
      const lane = this.#leastBusy();
      lane.jobs.push({ resolve, reject });
      // An idle thread does not keep the process alive; a busy one does.
      lane.worker.ref();
      lane.worker.postMessage(task);
    });
  }

  /** Starts every thread; they do not keep the process alive before they are given work. */
  warm(): void {
    while (this.#lanes.length < this.#count) this.#start().worker.unref();
  }

  /** Ends every thread; tasks that are not done are rejected. */
  async close(): Promise<void> {
    const lanes = this.#lanes.splice(0);
    for (const { jobs } of lanes) for (const job of jobs.splice(0)) job.reject(closedError());
    await Promise.all(lanes.map(({ worker }) => worker.terminate()));
  }

  #leastBusy(): Lane {
    const [best] = [...this.#lanes].sort((a, b) => a.jobs.length - b.jobs.length);
    if (best !== undefined && (best.jobs.length === 0 || this.#lanes.length >= this.#count)) return best;
    return this.#start();
  }

  #start(): Lane {
    const worker = startWorker(new URL('./worker', import.meta.url));
    const lane: Lane = { worker, jobs: [] };
    this.#lanes.push(lane);
    worker.on('message', (answer: Answer) => settle(lane, answer));
    worker.on('error', (cause) => this.#lose(lane, cause));
    worker.on('exit', (code) => this.#lose(lane, new Error(`exit code ${code}`)));
    return lane;
  }

  #lose(lane: Lane, cause: Error): void {
    const at = this.#lanes.indexOf(lane);
    if (at >= 0) this.#lanes.splice(at, 1);
    for (const { reject } of lane.jobs.splice(0)) {
      reject(
        new QuantcError('F_KERNEL_WORKER', `a worker thread ended: ${cause.message}`, {
          kind: 'fault',
          cause,
        }),
      );
    }
  }
}

function settle(lane: Lane, answer: Answer): void {
  const job = lane.jobs.shift();
  if (lane.jobs.length === 0) lane.worker.unref();
  if ('result' in answer) job?.resolve(answer.result);
  else {
    const { code, message, ...rest } = answer.error;
    job?.reject(new QuantcError(code, message, rest));
  }
}
