/** A process that does one job and tells how it went. */
import { dirname } from 'node:path';
import { QuantcError } from '../errors/error.js';
import { doJob } from './do-job.js';
import { jobOfImport } from './import-job.js';
import { jobsOf } from './job.js';
import type { JobAnswer, JobOrder } from './job-message.js';
import { loadConfig } from './load-config.js';

process.once('message', (order: JobOrder) => {
  answer(order).then((told) => process.send!(told, () => process.disconnect()));
});

async function answer(order: JobOrder): Promise<JobAnswer> {
  try {
    if (order.imported !== undefined) {
      const loaded = order.config === undefined ? undefined : await loadConfig(order.config);
      return { build: await doJob(jobOfImport(order.imported, loaded), order) };
    }
    const { config, file } = await loadConfig(order.config);
    const job = jobsOf(config, dirname(file)).find(
      ({ name, target }) => name === order.name && target.name === order.target,
    );
    if (job === undefined) {
      throw new QuantcError(
        'E_BUILD_CHANGED',
        `${order.name} for ${order.target} is no longer in the config`,
        {
          kind: 'usage',
          place: { file },
        },
      );
    }
    return { build: await doJob(job, order) };
  } catch (error) {
    const known =
      error instanceof QuantcError
        ? error
        : new QuantcError('F_UNEXPECTED', String((error as Error).stack ?? error), { kind: 'fault' });
    const { code, message, kind, place, hint } = known;
    return { error: { code, message, kind, place, hint } };
  }
}
