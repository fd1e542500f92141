/** Does jobs in processes of their own, as many at once as cores and memory allow; a process that is lost is replaced. */
import { availableParallelism } from 'node:os';
import { QuantcError } from '../errors/error.js';
import type { BuildEvent } from './events.js';
import { inProcess } from './in-process.js';
import { type BuildJob, jobTitle } from './job.js';
import { answered } from './job-message.js';
import type { StoredBuild } from './store.js';

/** Times that a job is begun before it is given up: a process may be killed for memory that another one took. */
const ATTEMPTS = 2;
/** What a compilation holds besides the model, and how often it may hold the model: an estimate, to share memory by. */
const BASE_BYTES = 256 << 20;
const MODEL_FACTOR = 4;

export interface JobToDo {
  readonly job: BuildJob;
  /** What `jobKey` gives for it. */
  readonly key: string;
  readonly workplace: string;
  /** Bytes of the model and its external data. */
  readonly bytes: number;
}

export interface RunOptions {
  readonly config: string;
  readonly cache: string | false;
  readonly maxMemory: number;
  readonly parallel?: number;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: BuildEvent) => void;
}

/**
 * @returns what each job gave, in the order of the jobs
 * @throws QuantcError what the first job that failed threw, once none is under way; E_BUILD_LOST when a process ended
 * without a word as often as it was begun; E_ABORTED
 */
export async function runJobs(jobs: readonly JobToDo[], options: RunOptions): Promise<StoredBuild[]> {
  const lanes = Math.min(jobs.length, options.parallel ?? Math.max(1, availableParallelism() >> 1));
  const threads = Math.max(1, Math.floor(availableParallelism() / Math.max(1, lanes)));
  const memory = new Memory(options.maxMemory);
  const results: StoredBuild[] = [];
  const failures: unknown[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < jobs.length && failures.length === 0) {
      const index = next++;
      const todo = jobs[index]!;
      const free = await memory.take(BASE_BYTES + MODEL_FACTOR * todo.bytes);
      try {
        if (failures.length === 0) results[index] = await persist(todo, threads, options);
      } catch (error) {
        failures.push(error);
      } finally {
        free();
      }
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  if (failures.length > 0) throw failures[0];
  return results;
}

async function persist(todo: JobToDo, threads: number, options: RunOptions): Promise<StoredBuild> {
  const { name, target } = todo.job;
  for (let attempt = 1; ; attempt++) {
    options.onEvent?.({ kind: 'begun', name, target: target.name, attempt });
    const { config, cache, maxMemory } = options;
    const order = { config, name, target: target.name, workplace: todo.workplace, cache, maxMemory, threads };
    const answer = await inProcess(order, options.signal);
    if (answer !== undefined) {
      const build = answered(answer, todo.job);
      options.onEvent?.({ kind: 'done', name, target: target.name });
      return build;
    }
    if (attempt < ATTEMPTS) continue;
    throw new QuantcError(
      'E_BUILD_LOST',
      `the process for ${jobTitle(todo.job)} ended without a word, ${ATTEMPTS} times`,
      {
        place: { file: todo.job.request.model },
        hint: 'It may have run out of memory: build fewer at once with `parallel: 1`, or lower `maxMemory`.',
      },
    );
  }
}

/** Bytes that are shared among what runs at once; what wants more than there is runs alone. */
class Memory {
  readonly #total: number;
  #taken = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(total: number) {
    this.#total = total;
  }

  /** @returns what gives them back */
  async take(wanted: number): Promise<() => void> {
    const bytes = Math.min(wanted, this.#total);
    while (this.#taken + bytes > this.#total) await new Promise<void>((go) => this.#waiting.push(go));
    this.#taken += bytes;
    return () => {
      this.#taken -= bytes;
      for (const go of this.#waiting.splice(0)) go();
    };
  }
}
