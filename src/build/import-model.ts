/** One model that a program imports: compiled as the import says, or taken from what `quantc build` and imports keep. */
import { readFileSync, rmSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { defaultCacheFolder } from '../compile/cache-folder.js';
import { digestBytes } from '../compile/file-digest.js';
import { bytesOf } from '../compile/staging.js';
import { QuantcError } from '../errors/error.js';
import type { TargetReport } from '../report/report.js';
import { MAX_MEMORY } from './config.js';
import { digestData } from './digest-files.js';
import { type ImportedModel, jobOfImport } from './import-job.js';
import type { BuildJob } from './job.js';
import { filesOfModel, jobKey, pathsFor } from './job-key.js';
import { type LoadedConfig, loadConfig, nearestConfig } from './load-config.js';
import { Remembered } from './remembered.js';
import { BuildStore, type StoredBuild } from './store.js';

/** A file of a compiled model. */
export interface ImportedFile {
  /** Name by which the model's other files refer to it, if they do. */
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly sha256: string;
}

export interface ImportResult {
  readonly target: string;
  /** The model first; what it reads follows. */
  readonly files: readonly [ImportedFile, ...ImportedFile[]];
  readonly report: TargetReport;
  /** Whether it was kept from an earlier build. */
  readonly kept: boolean;
  /** Files that it was made from: when one changes, so may the answer. */
  readonly sources: readonly string[];
}

export interface ImportOptions {
  /** Path of the config; `false` for none. Default the nearest `quantc.config.*` beside the model or above. */
  readonly config?: string | false;
  readonly signal?: AbortSignal;
}

/** Jobs that are under way in this process, by their keys: who wants the same waits for the same. */
const underWay = new Map<string, Promise<StoredFiles>>();

interface StoredFiles {
  readonly build: StoredBuild;
  readonly files: readonly ImportedFile[];
  readonly kept: boolean;
}

/**
 * @throws QuantcError E_IMPORT_MODEL, E_IMPORT_KEY, E_IMPORT_TARGET, E_IMPORT_SHAPES, E_CONFIG_*, E_BUILD_LOST, and
 * what `compile` throws
 */
export async function importModel(
  imported: ImportedModel,
  options: ImportOptions = {},
): Promise<ImportResult> {
  const { model } = imported;
  if (!statSync(model, { throwIfNoEntry: false })?.isFile()) {
    throw new QuantcError('E_IMPORT_MODEL', `there is no ${basename(model)}`, {
      kind: 'usage',
      place: { file: model },
    });
  }
  const loaded = await configFor(model, options.config);
  const kept = loaded === undefined ? defaultCacheFolder(dirname(model)) : loaded.kept;
  const job = jobOfImport(imported, loaded);
  const remembered = new Remembered(kept);
  const key = await jobKey(job, loaded?.sources ?? [], remembered);
  let found = underWay.get(key);
  if (found === undefined) {
    const bytes = bytesOf(await filesOfModel(model, remembered));
    found = findOrMake(job, key, {
      ...{ imported, kept, bytes, signal: options.signal },
      config: loaded,
    }).finally(() => underWay.delete(key));
    underWay.set(key, found);
  }
  const { build, files, kept: wasKept } = await found;
  const sources = [...(loaded?.sources ?? []), ...(await filesReadBy(job, remembered))];
  remembered.save();
  const report = build.reports[0]!;
  const name = basename(report.files[0]!.path);
  const main = files.find(({ path }) => basename(path) === name)!;
  return {
    target: job.target.name,
    files: [main, ...files.filter((file) => file !== main)],
    report,
    kept: wasKept,
    sources: [...new Set(sources)].sort(),
  };
}

interface Making {
  readonly imported: ImportedModel;
  readonly config: LoadedConfig | undefined;
  /** Folder in which what was built is kept. */
  readonly kept: string | undefined;
  /** Bytes of the model and its external data. */
  readonly bytes: number;
  readonly signal: AbortSignal | undefined;
}

async function findOrMake(job: BuildJob, key: string, making: Making): Promise<StoredFiles> {
  const store = new BuildStore(making.kept);
  const found = store.find(key);
  const files = found && read(found.folder, found.build);
  if (found && files) return { build: found.build, files, kept: true };
  if (found) store.drop(key);
  const workplace = store.workplace();
  try {
    const build = await make(job, workplace, making);
    const made = read(store.keep(key, workplace), build);
    if (made === undefined)
      throw new QuantcError('E_BUILD_STORE', 'what was built just now is damaged', {
        place: { file: workplace },
      });
    store.sweep();
    return { build, files: made, kept: false };
  } finally {
    rmSync(workplace, { recursive: true, force: true });
  }
}

/** Compilations that may run at once, and those that wait. */
const LANES = Math.max(1, availableParallelism() >> 1);
let running = 0;
const waiting: (() => void)[] = [];

async function make(job: BuildJob, workplace: string, making: Making): Promise<StoredBuild> {
  const { persist } = await import('./persist.js');
  while (running >= LANES) await new Promise<void>((go) => waiting.push(go));
  running++;
  try {
    const { imported, config, kept, signal } = making;
    const order = {
      ...{ config: config?.file, name: job.name, target: job.target.name, imported, workplace },
      ...{ cache: kept ?? (false as const), maxMemory: config?.config.maxMemory ?? MAX_MEMORY },
      threads: Math.max(1, Math.floor(availableParallelism() / LANES)),
    };
    return await persist(job, order, signal);
  } finally {
    running--;
    waiting.shift()?.();
  }
}

/** @returns undefined where a file is not what the list says */
function read(folder: string, { files }: StoredBuild): ImportedFile[] | undefined {
  const found: ImportedFile[] = [];
  for (const { path, sha256 } of files) {
    let bytes: Uint8Array;
    try {
      bytes = readFileSync(join(folder, path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
      return undefined;
    }
    if (digestBytes(bytes) !== sha256) return undefined;
    found.push({ path, bytes, sha256 });
  }
  return found;
}

async function configFor(
  model: string,
  wanted: string | false | undefined,
): Promise<LoadedConfig | undefined> {
  if (wanted === false) return undefined;
  const file = wanted === undefined ? nearestConfig(dirname(model)) : resolve(wanted);
  return file === undefined ? undefined : loadConfig(file);
}

/** The model with its external data, and the files of its data. */
async function filesReadBy({ request }: BuildJob, remembered: Remembered): Promise<string[]> {
  const { model, calib, eval: evaluation, shapes = {} } = request;
  const data = [calib, evaluation]
    .flatMap((path) => (path === undefined ? [] : pathsFor(path, Object.keys(shapes))))
    .map((path) => remembered.filesOf(`data ${path}`, () => digestData(path)));
  return [...(await filesOfModel(model, remembered)), ...(await Promise.all(data)).flat()];
}
