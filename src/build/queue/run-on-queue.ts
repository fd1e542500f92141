/** Has jobs done by workers on a queue: what `runJobs` does in processes of this machine, on as many as there are. */
import { randomUUID } from 'node:crypto';
import type { Job } from 'bullmq';
import type { Redis } from 'ioredis';
import { QuantcError } from '../../errors/error.js';
import { jobTitle } from '../job.js';
import { answered } from '../job-message.js';
import type { JobToDo, RunOptions } from '../run-jobs.js';
import { type BuildStore, isWhole, type Placed, sealedIn } from '../store.js';
import { receive } from './carry.js';
import { connect, QUEUE, type QueuedJob } from './connection.js';
import { MOST_LOST, type QueueAnswer } from './worker.js';

export interface QueueOptions extends Pick<RunOptions, 'signal' | 'onEvent'> {
  readonly queue: string;
  readonly store: BuildStore;
}

/** Times that a job may be handed back, by workers that have other files, or whose process was lost. */
const ATTEMPTS = 5;
const BETWEEN_MS = 1000;

/**
 * @returns what each job gave, in the order of the jobs; when one fails, those that nobody has begun are taken back
 * @throws QuantcError what the first job that failed threw; E_BUILD_LOST where workers were lost again and again,
 * E_BUILD_CHANGED where each has another version, config, model or data; E_QUEUE_*; E_ABORTED
 */
export async function runOnQueue(jobs: readonly JobToDo[], options: QueueOptions): Promise<Placed[]> {
  if (jobs.length === 0) return [];
  const { queue: url, store, signal, onEvent } = options;
  const connection = await connect(url, (message) => onEvent?.({ kind: 'trouble', message }));
  const queue = new connection.bullmq.Queue<QueuedJob, QueueAnswer>(QUEUE, {
    connection: connection.redis(),
  });
  const events = new connection.bullmq.QueueEvents(QUEUE, { connection: connection.redis() });
  queue.on('error', connection.trouble);
  events.on('error', connection.trouble);
  const carrier = connection.redis();
  const mark = randomUUID();
  const unmark = store.mark(mark);
  let queued: readonly Job<QueuedJob, QueueAnswer>[] = [];
  try {
    await events.waitUntilReady();
    if ((await queue.getWorkersCount()) === 0) onEvent?.({ kind: 'waiting', queue: QUEUE });
    queued = await queue.addBulk(
      jobs.map(({ job, key }) => ({
        name: jobTitle(job),
        data: { key, name: job.name, target: job.target.name, mark },
        opts: {
          attempts: ATTEMPTS,
          backoff: { type: 'fixed', delay: BETWEEN_MS },
          removeOnComplete: { age: 3600 },
          removeOnFail: { age: 3600 },
        },
      })),
    );
    const begun = new Map(queued.map(({ id }, index) => [id, jobs[index]!.job]));
    events.on('active', ({ jobId }) => {
      const job = begun.get(jobId);
      if (job) onEvent?.({ kind: 'begun', name: job.name, target: job.target.name, attempt: 1 });
    });
    const each = queued.map(async (job, index): Promise<Placed> => {
      const todo = jobs[index]!;
      const answer = await job.waitUntilFinished(events).catch((error: Error) => {
        throw failure(todo, error.message);
      });
      const placed = await place(answer, todo, store, carrier);
      onEvent?.({ kind: 'done', name: todo.job.name, target: todo.job.target.name });
      return placed;
    });
    return await Promise.race([Promise.all(each), aborted(signal)]);
  } finally {
    // Those under way end by themselves, and what they give is kept where they ran.
    await Promise.allSettled(queued.map((job) => job.remove()));
    unmark();
    await Promise.allSettled([events.close(), queue.close()]);
    connection.close();
  }
}

async function place(answer: QueueAnswer, todo: JobToDo, store: BuildStore, carrier: Redis): Promise<Placed> {
  if ('error' in answer) return { build: answered(answer, todo.job), folder: todo.workplace };
  if ('shared' in answer) {
    const found = store.find(todo.key);
    if (found) return found;
    throw new QuantcError(
      'E_BUILD_STORE',
      `${jobTitle(todo.job)} is no longer in the store that a worker shares`,
    );
  }
  await receive(carrier, answer.token, todo.workplace, answer.files);
  const build = sealedIn(todo.workplace);
  if (build === undefined || !(await isWhole({ build, folder: todo.workplace })))
    throw new QuantcError('E_QUEUE_PIECE', `what came for ${jobTitle(todo.job)} is damaged`);
  return { build, folder: store.keep(todo.key, todo.workplace) };
}

function failure({ job }: JobToDo, reason: string): QuantcError {
  const [, code = 'E_BUILD_LOST', message = reason] = /^(E_[A-Z_]+): (.*)$/s.exec(reason) ?? [];
  const lost = code === 'E_BUILD_LOST';
  const why = lost ? `${jobTitle(job)} lost its workers: ${message}` : message;
  return new QuantcError(code, why, {
    kind: 'usage',
    place: { file: job.request.model },
    hint: lost
      ? `A worker may have run out of memory; a job is begun ${MOST_LOST} times at most.`
      : 'Builds and workers need the same quantc, config, models and data.',
  });
}

const aborted = (signal: AbortSignal | undefined): Promise<never> =>
  new Promise((_, reject) => {
    const stop = () => reject(new QuantcError('E_ABORTED', 'the build was stopped', { kind: 'usage' }));
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop, { once: true });
  });
