/** Worker threads that do tasks, started when the first one is dispatched. */
import { Worker } from 'node:worker_threads';
import { QuantcError } from '../errors/error.js';
import type { Task, TaskResult } from './task.js';
import type { Answer } from './worker.js';

interface Job {
  readonly task: Task;
  readonly resolve: (result: TaskResult) => void;
  readonly reject: (error: unknown) => void;
}

/** What is thrown to those who still wait when a pool is closed. */
export const closedError = (): QuantcError =>
  new QuantcError('F_KERNEL_CLOSED', 'the worker pool was closed', { kind: 'fault' });

/** A fixed number of threads and a queue in front of them. Tasks start in the order given. */
export class Threads {
  readonly #count: number;
  readonly #queue: Job[] = [];
  readonly #idle: Worker[] = [];
  readonly #busy = new Map<Worker, Job>();

  constructor(count: number) {
    this.#count = count;
  }

  /** @throws what the task throws; QuantcError F_KERNEL_WORKER when a thread dies. */
  run(task: Task): Promise<TaskResult> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ task, resolve, reject });
      this.#dispatch();
    });
  }

  /** Ends every thread; tasks that are not done are rejected. */
  async close(): Promise<void> {
    for (const job of this.#queue.splice(0)) job.reject(closedError());
    const workers = [...this.#idle.splice(0), ...this.#busy.keys()];
    for (const job of this.#busy.values()) job.reject(closedError());
    this.#busy.clear();
    await Promise.all(workers.map((worker) => worker.terminate()));
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      let worker = this.#idle.pop();
      if (worker === undefined && this.#busy.size < this.#count) worker = this.#start();
      if (worker === undefined) return;
      const job = this.#queue.shift()!;
      this.#busy.set(worker, job);
      // An idle thread does not keep the process alive; a busy one does.
      worker.ref();
      worker.postMessage(job.task);
    }
  }

  #start(): Worker {
    const worker = startWorker();
    worker.on('message', (answer: Answer) => this.#settle(worker, answer));
    worker.on('error', (cause) => this.#lose(worker, cause));
    worker.on('exit', (code) => this.#lose(worker, new Error(`exit code ${code}`)));
    return worker;
  }

  #settle(worker: Worker, answer: Answer): void {
    const job = this.#busy.get(worker);
    this.#busy.delete(worker);
    this.#idle.push(worker);
    worker.unref();
    if ('result' in answer) job?.resolve(answer.result);
    else {
      const { code, message, ...rest } = answer.error;
      job?.reject(new QuantcError(code, message, rest));
    }
    this.#dispatch();
  }

  #lose(worker: Worker, cause: Error): void {
    const job = this.#busy.get(worker);
    this.#busy.delete(worker);
    const at = this.#idle.indexOf(worker);
    if (at >= 0) this.#idle.splice(at, 1);
    job?.reject(
      new QuantcError('F_KERNEL_WORKER', `a worker thread ended: ${cause.message}`, { kind: 'fault', cause }),
    );
    this.#dispatch();
  }
}

/** Compiled, the worker is a module as any other. Run from its TypeScript source, it must first learn to read that. */
function startWorker(): Worker {
  if (!import.meta.url.endsWith('.ts')) return new Worker(new URL('./worker.js', import.meta.url));
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const source = JSON.stringify(new URL('./worker.ts', import.meta.url).href);
  return new Worker(`import(${loader}).then(({ register }) => (register(), import(${source})))`, {
    eval: true,
    execArgv: [],
  });
}
