/** A job in a process of its own; one that is lost, as to the system's memory killer, is replaced. */
import { QuantcError } from '../errors/error.js';
import { inProcess } from './in-process.js';
import { type BuildJob, jobTitle } from './job.js';
import { answered, type JobOrder } from './job-message.js';
import type { StoredBuild } from './store.js';

/** Times that a job is begun before it is given up: a process may be killed for memory that another one took. */
const ATTEMPTS = 2;

/**
 * @param onBegun told before each attempt, from 1 on
 * @throws QuantcError what the job threw; E_BUILD_LOST when its process ended without a word as often as it was begun;
 * E_ABORTED after a signal
 */
export async function persist(
  job: BuildJob,
  order: JobOrder,
  signal?: AbortSignal,
  onBegun?: (attempt: number) => void,
): Promise<StoredBuild> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    onBegun?.(attempt);
    const answer = await inProcess(order, signal);
    if (answer !== undefined) return answered(answer, job);
  }
  throw new QuantcError(
    'E_BUILD_LOST',
    `the process for ${jobTitle(job)} ended without a word, ${ATTEMPTS} times`,
    {
      place: { file: job.request.model },
      hint: 'It may have run out of memory: build fewer at once with `parallel: 1`, or lower `maxMemory`.',
    },
  );
}
