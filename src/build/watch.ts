/** Builds, and builds again when something that a build is made from has changed. */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BuildRequest, type BuildResult, build } from './build.js';
import { filesBelow, foldersBelow } from './digest-files.js';
import { jobsOf } from './job.js';
import { pathsFor } from './job-key.js';
import { loadConfig, nearestConfig } from './load-config.js';
import { stampOf } from './remembered.js';

export interface WatchRequest extends BuildRequest {
  /** Ends the watch, and a build that is under way. */
  readonly signal: AbortSignal;
  readonly onBuilt?: (result: BuildResult) => void;
  /** A build that failed is told of, and the watch goes on. */
  readonly onFailed?: (error: unknown) => void;
  /** Milliseconds between two looks, and for which files must stay the same before a build. Default 200. */
  readonly pace?: number;
}

const PACE = 200;
/** Looking takes no more than this part of the time, however many files there are. */
const SHARE = 1 / 20;

/**
 * Watches the config, what it loads, models and data. Files are looked at rather than waited for: that works on network
 * drives and in containers, too. Ends when the signal says so, without an error.
 */
export async function watch(request: WatchRequest): Promise<void> {
  const { signal, onBuilt, onFailed, pace = PACE } = request;
  let known = looked(await named(request));
  while (!signal.aborted) {
    let next: readonly string[];
    try {
      const result = await build(request);
      onBuilt?.(result);
      next = result.sources;
    } catch (error) {
      if (signal.aborted) return;
      onFailed?.(error);
      next = [...known.keys(), ...(await named(request))];
    }
    // Of what was known before, the state from before counts: it may have changed while the build was under way.
    known = looked(next, known);
    await change(known, pace, signal);
    known = looked([...known.keys()]);
  }
}

/** What files and folders look like, by path. */
type Looks = ReadonlyMap<string, string>;

/** Until the files have changed, and stay as they are. */
async function change(known: Looks, pace: number, signal: AbortSignal): Promise<void> {
  let last = known;
  while (!signal.aborted) {
    const begin = performance.now();
    const now = looked([...known.keys()]);
    if (!isSame(now, known) && isSame(now, last)) return;
    last = now;
    const wait = Math.max(pace, (performance.now() - begin) / SHARE);
    await sleep(wait, undefined, { signal }).catch((error: Error) => {
      if (error.name !== 'AbortError') throw error;
    });
  }
}

const looked = (paths: readonly string[], before?: Looks): Looks =>
  new Map(expanded(paths).map((path) => [path, before?.get(path) ?? stampOf([path]).text]));

const isSame = (some: Looks, others: Looks): boolean =>
  some.size === others.size && [...some].every(([path, look]) => others.get(path) === look);

/** What the config names, as far as it can be loaded: of a build that failed there is no list. */
async function named({ config: path }: BuildRequest): Promise<string[]> {
  const file = path ?? nearestConfig(process.cwd());
  try {
    const { config, file: found, sources } = await loadConfig(file);
    const read = jobsOf(config, dirname(found)).flatMap(({ request }) => {
      const data = [request.calib, request.eval].filter((each) => each !== undefined);
      return [request.model, ...data.flatMap((each) => pathsFor(each, Object.keys(request.shapes ?? {})))];
    });
    return [...sources, ...read];
  } catch {
    // The build says what is wrong with it; a change of the file itself may mend it.
    return file === undefined ? [] : [file];
  }
}

/** Folders with all that is in them. */
function expanded(paths: readonly string[]): string[] {
  const all = paths.flatMap((path) =>
    statSync(path, { throwIfNoEntry: false })?.isDirectory()
      ? [...foldersBelow(path), ...filesBelow(path)]
      : [path],
  );
  return [...new Set(all)].sort();
}
