/** Does jobs in processes of their own, as many at once as cores and memory allow; a process that is lost is replaced. */
import { availableParallelism } from 'node:os';
import type { BuildEvent } from './events.js';
import type { BuildJob } from './job.js';
import { persist } from './persist.js';
import type { StoredBuild } from './store.js';

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
        if (failures.length === 0) results[index] = await done(todo, threads, options);
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

async function done(
  { job, workplace }: JobToDo,
  threads: number,
  { config, cache, maxMemory, signal, onEvent }: RunOptions,
): Promise<StoredBuild> {
  const at = { name: job.name, target: job.target.name };
  const order = { ...at, config, workplace, cache, maxMemory, threads };
  const build = await persist(job, order, signal, (attempt) => onEvent?.({ kind: 'begun', ...at, attempt }));
  onEvent?.({ kind: 'done', ...at });
  return build;
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
