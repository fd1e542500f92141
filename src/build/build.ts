/** A build: every model of a config, for every target, from what is kept or anew; and all of it put in place at once. */
import { existsSync, rmSync } from 'node:fs';
import { dirname, relative, resolve, sep } from 'node:path';
import { PAGE_NAME, pageOf } from '../compile/page-file.js';
import { bytesOf, Staging } from '../compile/staging.js';
import { QuantcError } from '../errors/error.js';
import { reportText, type TargetReport } from '../report/report.js';
import { REPORT_NAME } from '../report/report-name.js';
import { VERSION } from '../report/version.js';
import { bindingsOf, placeOutside, type WrittenModule } from './build-bindings.js';
import { MAX_MEMORY } from './config.js';
import type { BuildEvent } from './events.js';
import { type BuildJob, jobsOf, placeOf } from './job.js';
import { filesOfModel, jobKey, pathsFor } from './job-key.js';
import { loadConfig } from './load-config.js';
import { type BuildManifest, MANIFEST_NAME, type ManifestTarget, manifestTarget } from './manifest.js';
import { Outputs } from './outputs.js';
import { Remembered } from './remembered.js';
import { BuildStore, type Placed, type StoredFile } from './store.js';

export interface BuildRequest {
  /** Path of the config; default the nearest `quantc.config.*` here or above. */
  readonly config?: string;
  /** Names of the models to build; default all. */
  readonly only?: readonly string[];
  /** Folder for the outputs; default what the config says. */
  readonly out?: string;
  /** URL of a Redis whose workers (`quantc worker`) do the jobs; default processes of this machine. */
  readonly queue?: string;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: BuildEvent) => void;
}

export interface BuildResult {
  /** Absolute path of the folder with the outputs. */
  readonly out: string;
  readonly manifest: BuildManifest;
  readonly reports: Readonly<Record<string, readonly TargetReport[]>>;
  /** Jobs done, and those whose outputs were kept from an earlier build. */
  readonly built: number;
  readonly kept: number;
  /** Files that the build was made from: the config and what it loads, models and data. */
  readonly sources: readonly string[];
}

/** A job and where its outputs lie. */
interface Done extends Placed {
  readonly job: BuildJob;
  readonly key: string;
}

/**
 * Builds what a config says. Outputs appear whole, all together, or not at all.
 * @throws QuantcError E_CONFIG_*, E_BUILD_MODEL for a name that the config does not know, E_BUILD_LOST, and what
 * `compile` throws, with the model and the target in front
 */
export async function build(request: BuildRequest = {}): Promise<BuildResult> {
  const { config, file, sources, kept } = await loadConfig(request.config);
  const folder = dirname(file);
  const jobs = chosen(jobsOf(config, folder), request.only);
  const store = new BuildStore(kept);
  const out = resolve(request.out ?? resolve(folder, config.out ?? 'dist'));
  const remembered = new Remembered(kept);
  const keys = await Promise.all(jobs.map((job) => jobKey(job, sources, remembered)));
  const options = {
    ...{ config: file, cache: kept ?? (false as const), maxMemory: config.maxMemory ?? MAX_MEMORY },
    ...{ parallel: config.parallel, signal: request.signal, onEvent: request.onEvent },
  };
  const temporary: string[] = [];
  /** Builds jobs anew. */
  const make = async (todo: readonly number[]): Promise<Map<number, Done>> => {
    if (todo.length === 0) return new Map();
    const work = await Promise.all(
      todo.map(async (index) => {
        const workplace = store.workplace();
        temporary.push(workplace);
        const job = jobs[index]!;
        const bytes = bytesOf(await filesOfModel(job.request.model, remembered));
        return { job, key: keys[index]!, workplace, bytes };
      }),
    );
    const { queue } = request;
    const places =
      queue === undefined
        ? (await (await import('./run-jobs.js')).runJobs(work, options)).map((build, at) => {
            const { key, workplace } = work[at]!;
            return { build, folder: store.keep(key, workplace) };
          })
        : await (await import('./queue/run-on-queue.js')).runOnQueue(work, { ...options, queue, store });
    return new Map(
      todo.map((index, at) => [index, { job: jobs[index]!, key: keys[index]!, ...places[at]! }]),
    );
  };
  const staging = new Staging(out);
  const outputs = new Outputs(out, staging, remembered);
  try {
    const done = new Map<number, Done>();
    for (const [index, job] of jobs.entries()) {
      const found = store.find(keys[index]!);
      if (found) done.set(index, { job, key: keys[index]!, ...found });
    }
    const missing = [...jobs.keys()].filter((index) => !done.has(index));
    for (const [index, each] of await make(missing)) done.set(index, each);
    const damaged = await place(done, missing, outputs, store, request.onEvent);
    // What was kept and is damaged is built anew; what is built just now is whole.
    const mended = await make(damaged);
    for (const [index, each] of mended) done.set(index, each);
    const left = await place(mended, damaged, outputs, store);
    if (left.length > 0)
      throw new QuantcError('E_BUILD_STORE', 'what was built just now is damaged', {
        place: { file: kept ?? out },
      });
    const inOrder = [...jobs.keys()].map((index) => done.get(index)!);
    const bindings = await bindingsOf(inOrder, config, folder, out, remembered);
    const { manifest, reports } = await describe(inOrder, outputs, folder, bindings, config.report ?? false);
    staging.commit();
    await placeOutside(bindings, out);
    const read = await Promise.all(jobs.map((job) => readBy(job, remembered)));
    remembered.save();
    if (missing.length > 0) store.sweep();
    return {
      ...{ out, manifest, reports },
      built: missing.length + damaged.length,
      kept: jobs.length - missing.length - damaged.length,
      sources: [...new Set([...sources, ...read.flat()])].sort(),
    };
  } finally {
    for (const each of temporary) rmSync(each, { recursive: true, force: true });
    staging.remove();
  }
}

/** @throws QuantcError E_BUILD_MODEL */
function chosen(jobs: readonly BuildJob[], only: readonly string[] | undefined): BuildJob[] {
  const names = new Set(jobs.map(({ name }) => name));
  const strange = only?.find((name) => !names.has(name));
  if (strange !== undefined) {
    throw new QuantcError('E_BUILD_MODEL', `the config has no model "${strange}"`, {
      kind: 'usage',
      hint: `Models: ${[...names].join(', ')}.`,
    });
  }
  return jobs.filter(({ name }) => only === undefined || only.includes(name));
}

/** Models, with external data, and what data are read from. */
const readBy = async (
  { request: { model, calib, eval: evaluation, shapes = {} } }: BuildJob,
  remembered: Remembered,
): Promise<string[]> => [
  ...(await filesOfModel(model, remembered)),
  ...[calib, evaluation].flatMap((path) => (path === undefined ? [] : pathsFor(path, Object.keys(shapes)))),
];

/** Copies outputs into the staging folder. @returns the jobs whose kept outputs are damaged; they are dropped */
async function place(
  done: ReadonlyMap<number, Done>,
  fresh: readonly number[],
  outputs: Outputs,
  store: BuildStore,
  onEvent?: BuildRequest['onEvent'],
): Promise<number[]> {
  const damaged: number[] = [];
  for (const [index, { job, key, folder, build: made }] of done) {
    let whole = true;
    for (const file of made.files)
      whole &&= await outputs.take(placeOf(job.name, file.path), file, folder, [job.request.model]);
    if (!whole) {
      store.drop(key);
      damaged.push(index);
    } else if (!fresh.includes(index)) {
      onEvent?.({ kind: 'kept', name: job.name, target: job.target.name });
    }
  }
  return damaged;
}

/** Writes a report a model, and the manifest. */
async function describe(
  done: readonly Done[],
  outputs: Outputs,
  folder: string,
  bindings: readonly WrittenModule[],
  page: boolean,
) {
  const models: Record<string, Record<string, ManifestTarget>> = {};
  const reports: Record<string, TargetReport[]> = {};
  for (const { job, build: made } of done) {
    const placed = (path: string): string => slashed(placeOf(job.name, path));
    const files: StoredFile[] = made.files.map((file) => ({ ...file, path: placed(file.path) }));
    const own = made.reports.map((report) => relocated(report, job, folder));
    const claimed = new Set(own.flatMap((report) => report.files.map(({ path }) => placed(path))));
    models[job.name] ??= {};
    for (const report of own) {
      const key = report.shape === undefined ? job.target.name : `${job.target.name}.${report.shape}`;
      const mine = new Set(report.files.map(({ path }) => placed(path)));
      // What a layout writes beside models belongs to each of them.
      const beside = files.filter(({ path }) => mine.has(path) || !claimed.has(path));
      models[job.name]![key] = manifestTarget(report, beside);
    }
    reports[job.name] = [...(reports[job.name] ?? []), ...own];
  }
  const texts: string[] = [];
  for (const [name, targets] of Object.entries(reports)) {
    const text = reportText({ quantc: VERSION, targets });
    // On the page models go by the names that the config gives them.
    if (page)
      texts.push(reportText({ quantc: VERSION, targets: targets.map((each) => ({ ...each, model: name })) }));
    await outputs.write(placeOf(name, REPORT_NAME), text);
  }
  if (page) await outputs.write(PAGE_NAME, await pageOf(texts));
  for (const { path, text, outside } of bindings) if (!outside) await outputs.write(path, text);
  const manifest: BuildManifest = {
    ...{ quantc: VERSION, models },
    ...(bindings.length > 0 && {
      bindings: bindings.map(({ path, bytes, sha256 }) => ({ path, bytes, sha256 })),
    }),
  };
  await outputs.write(MANIFEST_NAME, `${JSON.stringify(manifest, undefined, 2)}\n`);
  return { manifest, reports };
}

/** The report as if it were made here: it may have been kept from another folder, on another machine. */
function relocated(report: TargetReport, { request }: BuildJob, folder: string): TargetReport {
  const { evaluation } = report.proof;
  if (evaluation === undefined || request.eval === undefined || !existsSync(request.eval)) return report;
  const source = slashed(relative(folder, request.eval));
  return { ...report, proof: { ...report.proof, evaluation: { ...evaluation, source } } };
}

const slashed = (path: string): string => path.split(sep).join('/');
