/** Does one job: compiles into a workplace and lists what is there. */
import { relative } from 'node:path';
import type { CompileRequest } from '../compile/request.js';
import { compile, REPORT_NAME } from '../compile.js';
import { filesBelow } from './digest-files.js';
import type { BuildJob } from './job.js';
import type { JobOrder } from './job-message.js';
import { BuildStore, type StoredBuild } from './store.js';

export type Doing = Pick<JobOrder, 'workplace' | 'cache' | 'maxMemory' | 'threads'> &
  Pick<CompileRequest, 'signal' | 'onEvent'>;

/** @throws QuantcError as `compile` does */
export async function doJob(job: BuildJob, { workplace, ...rest }: Doing): Promise<StoredBuild> {
  const reports = await compile({ ...job.request, ...rest, out: workplace });
  // A layout writes more than models.
  const paths = filesBelow(workplace).map((file) => relative(workplace, file));
  return new BuildStore(undefined).seal(
    workplace,
    reports,
    paths.filter((path) => path !== REPORT_NAME),
  );
}
