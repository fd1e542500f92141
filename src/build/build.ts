/** A build: every model of a config, for every target, from what is kept or anew; and all of it put in place at once. */
import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, relative, resolve, sep } from 'node:path';
import { cacheFolder } from '../compile/cache-folder.js';
import { filesOf, Staging } from '../compile/staging.js';
import { REPORT_NAME } from '../compile.js';
import { QuantcError } from '../errors/error.js';
import { readModel } from '../onnx/read.js';
import { reportText, type TargetReport } from '../report/report.js';
import { VERSION } from '../report/version.js';
import type { BuildEvent } from './events.js';
import { type BuildJob, jobsOf, placeOf } from './job.js';
import { jobKey, pathsFor } from './job-key.js';
import { loadConfig } from './load-config.js';
import { type BuildManifest, MANIFEST_NAME, type ManifestTarget, manifestTarget } from './manifest.js';
import { runJobs } from './run-jobs.js';
import { BuildStore, type StoredBuild, type StoredFile, take } from './store.js';

export interface BuildRequest {
  /** Path of the config; default the nearest `quantc.config.*` here or above. */
  readonly config?: string;
  /** Names of the models to build; default all. */
  readonly only?: readonly string[];
  /** Folder for the outputs; default what the config says. */
  readonly out?: string;
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

const MAX_MEMORY = 1 << 30;

/** A job and where its outputs lie. */
interface Done {
  readonly job: BuildJob;
  readonly key: string;
  readonly folder: string;
  readonly build: StoredBuild;
}

/**
 * Builds what a config says. Outputs appear whole, all together, or not at all.
 * @throws QuantcError E_CONFIG_*, E_BUILD_MODEL for a name that the config does not know, E_BUILD_LOST, and what
 * `compile` throws, with the model and the target in front
 */
export async function build(request: BuildRequest = {}): Promise<BuildResult> {
  const { config, file, sources } = await loadConfig(request.config);
  const folder = dirname(file);
  const jobs = chosen(jobsOf(config, folder), request.only);
  const wanted = config.cache === false ? false : config.cache && resolve(folder, config.cache);
  const kept = cacheFolder(wanted);
  const store = new BuildStore(kept);
  const out = resolve(request.out ?? resolve(folder, config.out ?? 'dist'));
  const keys = await Promise.all(jobs.map((job) => jobKey(job, sources)));
  const options = {
    ...{ config: file, cache: kept ?? (false as const), maxMemory: config.maxMemory ?? MAX_MEMORY },
    ...{ parallel: config.parallel, signal: request.signal, onEvent: request.onEvent },
  };
  const temporary: string[] = [];
  /** Builds jobs anew. */
  const make = async (todo: readonly number[]): Promise<Map<number, Done>> => {
    const work = todo.map((index) => {
      const workplace = store.workplace();
      temporary.push(workplace);
      return { job: jobs[index]!, key: keys[index]!, workplace, bytes: bytesOfModel(jobs[index]!) };
    });
    const builds = await runJobs(work, options);
    return new Map(
      todo.map((index, at) => {
        const place = store.keep(keys[index]!, work[at]!.workplace);
        return [index, { job: jobs[index]!, key: keys[index]!, folder: place, build: builds[at]! }];
      }),
    );
  };
  const staging = new Staging(out);
  try {
    const done = new Map<number, Done>();
    for (const [index, job] of jobs.entries()) {
      const found = store.find(keys[index]!);
      if (found) done.set(index, { job, key: keys[index]!, ...found });
    }
    const missing = [...jobs.keys()].filter((index) => !done.has(index));
    for (const [index, each] of await make(missing)) done.set(index, each);
    const damaged = await place(done, missing, staging, store, request.onEvent);
    // What was kept and is damaged is built anew; what is built just now is whole.
    const mended = await make(damaged);
    for (const [index, each] of mended) done.set(index, each);
    const left = await place(mended, damaged, staging, store);
    if (left.length > 0)
      throw new QuantcError('E_BUILD_STORE', 'what was built just now is damaged', {
        place: { file: kept ?? out },
      });
    const inOrder = [...jobs.keys()].map((index) => done.get(index)!);
    const { manifest, reports } = await describe(inOrder, staging, folder);
    staging.commit();
    if (missing.length > 0) store.sweep();
    return {
      ...{ out, manifest, reports },
      built: missing.length + damaged.length,
      kept: jobs.length - missing.length - damaged.length,
      sources: [...new Set([...sources, ...jobs.flatMap(readBy)])].sort(),
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

const bytesOfModel = ({ request: { model } }: BuildJob): number =>
  [...filesOf(model, readModel(model))].reduce((sum, file) => sum + statSync(file).size, 0);

/** Models, with external data, and what data are read from. */
const readBy = ({ request: { model, calib, eval: evaluation, shapes = {} } }: BuildJob): string[] => [
  ...filesOf(model, readModel(model)),
  ...[calib, evaluation].flatMap((path) => (path === undefined ? [] : pathsFor(path, Object.keys(shapes)))),
];

/** Copies outputs into the staging folder. @returns the jobs whose kept outputs are damaged; they are dropped */
async function place(
  done: ReadonlyMap<number, Done>,
  fresh: readonly number[],
  staging: Staging,
  store: BuildStore,
  onEvent?: BuildRequest['onEvent'],
): Promise<number[]> {
  const damaged: number[] = [];
  for (const [index, { job, key, folder, build: made }] of done) {
    let whole = true;
    for (const file of made.files)
      whole &&= await take(folder, file, staging.path(placeOf(job.name, file.path)));
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
async function describe(done: readonly Done[], staging: Staging, folder: string) {
  const models: Record<string, Record<string, ManifestTarget>> = {};
  const reports: Record<string, TargetReport[]> = {};
  for (const { job, build: made } of done) {
    const inputs = [job.request.model];
    const placed = (path: string): string => slashed(placeOf(job.name, path));
    const files: StoredFile[] = made.files.map((file) => ({ ...file, path: placed(file.path) }));
    // Each was hashed when it was taken.
    for (const { path } of files) staging.claim(path, inputs);
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
  const add = async (name: string, text: string): Promise<void> => {
    writeFileSync(staging.path(name), text);
    await staging.add(name, []);
  };
  for (const [name, targets] of Object.entries(reports))
    await add(placeOf(name, REPORT_NAME), reportText({ quantc: VERSION, targets }));
  const manifest: BuildManifest = { quantc: VERSION, models };
  await add(MANIFEST_NAME, `${JSON.stringify(manifest, undefined, 2)}\n`);
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
