/** What the two ends of a job in a process of its own tell each other. */
import { type ErrorPlace, QuantcError } from '../errors/error.js';
import type { ImportedModel } from './import-job.js';
import { type BuildJob, jobTitle } from './job.js';
import type { StoredBuild } from './store.js';

/** Which job, and where. A config is named rather than sent: what is in it may be code. */
export interface JobOrder {
  /** Undefined where an import has none. */
  readonly config: string | undefined;
  readonly name: string;
  readonly target: string;
  /** What is imported, where it is no model of the config. */
  readonly imported?: ImportedModel;
  /** Folder to build into. */
  readonly workplace: string;
  /** Folder of answers that compilations keep; false keeps none. */
  readonly cache: string | false;
  readonly maxMemory: number;
  readonly threads: number;
}

export type JobAnswer =
  | { readonly build: StoredBuild }
  | {
      readonly error: {
        readonly code: string;
        readonly message: string;
        readonly kind: QuantcError['kind'];
        readonly place: ErrorPlace;
        readonly hint: string | undefined;
      };
    };

/** What a job gave. @throws QuantcError what it threw, with the model and the target in front */
export function answered(answer: JobAnswer, job: BuildJob): StoredBuild {
  if ('build' in answer) return answer.build;
  const { code, message, ...rest } = answer.error;
  throw new QuantcError(code, `${jobTitle(job)}: ${message}`, rest);
}
