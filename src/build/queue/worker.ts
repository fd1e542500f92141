/** A worker: takes jobs from a queue and does them with what lies on its own machine. */
import { rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import type { Job } from 'bullmq';
import type { Redis } from 'ioredis';
import { MAX_MEMORY, type QuantcConfig } from '../config.js';
import { inProcess } from '../in-process.js';
import { jobsOf } from '../job.js';
import { jobKey } from '../job-key.js';
import type { JobAnswer, JobOrder } from '../job-message.js';
import { loadConfig } from '../load-config.js';
import { BuildStore, ENTRY } from '../store.js';
import { type CarriedFile, send } from './carry.js';
import { connect, QUEUE, type QueuedJob } from './connection.js';

export interface WorkRequest {
  /** URL of the Redis. */
  readonly queue: string;
  /** Path of the config; default the nearest. It is the same as the build's: keys tell. */
  readonly config?: string;
  /** Jobs at once. Default 1. */
  readonly parallel?: number;
  /** Threads of each. Default ONNX Runtime's own choice over all cores. */
  readonly threads?: number;
  /** Milliseconds after which a job whose worker says nothing is given to another. Default 30,000. */
  readonly lostAfter?: number;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: WorkEvent) => void;
}

export type WorkEvent =
  | { readonly kind: 'ready' }
  /** The connection is lost, and being taken up again. */
  | { readonly kind: 'trouble'; readonly message: string }
  | { readonly kind: 'begun' | 'done'; readonly name: string; readonly target: string }
  | { readonly kind: 'failed'; readonly name: string; readonly target: string; readonly message: string };

/** What a worker answers: an error of the compilation; or its outputs, in the shared store or sent. */
export type QueueAnswer =
  | Extract<JobAnswer, { error: unknown }>
  | { readonly shared: true }
  | { readonly token: string; readonly files: readonly CarriedFile[] };

/** Times that a job may lose its worker. */
export const MOST_LOST = 3;

/**
 * Works until the signal. A job that this worker has other files for (another key) goes back for others to take.
 * @throws QuantcError E_QUEUE_*, E_CONFIG_*
 */
export async function work(request: WorkRequest): Promise<void> {
  // What is wrong with the config is said at once, not with the first job.
  await loadConfig(request.config);
  const { parallel = 1, lostAfter = 30_000, signal, onEvent } = request;
  const connection = await connect(request.queue, (message) => onEvent?.({ kind: 'trouble', message }));
  const carrier = connection.redis();
  const worker = new connection.bullmq.Worker<QueuedJob, QueueAnswer>(
    QUEUE,
    async (job) => {
      const { name, target } = job.data;
      onEvent?.({ kind: 'begun', name, target });
      const answer = await handle(job, request, carrier);
      onEvent?.({ kind: 'done', name, target });
      return answer;
    },
    {
      connection: connection.redis(),
      concurrency: parallel,
      lockDuration: lostAfter,
      stalledInterval: lostAfter,
      maxStalledCount: MOST_LOST,
    },
  );
  worker.on('error', connection.trouble);
  worker.on('failed', (job, { message }) => {
    if (job) onEvent?.({ kind: 'failed', name: job.data.name, target: job.data.target, message });
  });
  try {
    await worker.waitUntilReady();
    onEvent?.({ kind: 'ready' });
    await stopped(signal);
  } finally {
    await worker.close();
    connection.close();
  }
}

const stopped = (signal: AbortSignal | undefined): Promise<void> =>
  new Promise((resolve) => {
    if (signal?.aborted) resolve();
    signal?.addEventListener('abort', () => resolve(), { once: true });
  });

/** @throws Error whose message begins with E_BUILD_CHANGED or E_BUILD_LOST: the job is tried again, here or elsewhere */
async function handle(
  { data, id }: Job<QueuedJob>,
  request: WorkRequest,
  carrier: Redis,
): Promise<QueueAnswer> {
  const { config, file, sources, kept } = await loadConfig(request.config);
  const { name, target, key, mark } = data;
  const job = jobsOf(config, dirname(file)).find((each) => each.name === name && each.target.name === target);
  if (job === undefined || (await jobKey(job, sources)) !== key)
    throw new Error(`E_BUILD_CHANGED: ${name} for ${target} is not the same on the machine of a worker`);
  const store = new BuildStore(kept);
  const workplace = store.workplace();
  try {
    const found = await store.findWhole(key);
    const answer =
      found ?? (await inProcess(orderFor(data, file, workplace, kept, config, request), request.signal));
    if (answer === undefined)
      throw new Error(`E_BUILD_LOST: the process for ${name} for ${target} ended without a word`);
    if ('error' in answer) return answer;
    const folder = found?.folder ?? store.keep(key, workplace);
    if (store.isMarked(mark)) return { shared: true };
    const token = `${id}:${key}`;
    const paths = [ENTRY, ...answer.build.files.map(({ path }) => path)];
    return { token, files: await send(carrier, token, folder, paths) };
  } finally {
    rmSync(workplace, { recursive: true, force: true });
  }
}

const orderFor = (
  { name, target }: QueuedJob,
  file: string,
  workplace: string,
  kept: string | undefined,
  { maxMemory = MAX_MEMORY }: QuantcConfig,
  { parallel = 1, threads = Math.max(1, Math.floor(availableParallelism() / parallel)) }: WorkRequest,
): JobOrder => ({ config: file, name, target, workplace, cache: kept ?? false, maxMemory, threads });
