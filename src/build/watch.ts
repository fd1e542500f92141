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
  let files = expanded(await named(request));
  while (!signal.aborted) {
    // What changes while a build is under way has it done again.
    let stamp = stampOf(files).text;
    let next: readonly string[];
    try {
      const result = await build(request);
      onBuilt?.(result);
      next = result.sources;
    } catch (error) {
      if (signal.aborted) return;
      onFailed?.(error);
      next = await named(request);
    }
    if (stampOf(files).text !== stamp) continue;
    files = expanded([...next, ...(await named(request))]);
    stamp = stampOf(files).text;
    await change(files, stamp, pace, signal);
    files = expanded(files);
  }
}

/** Until the files have changed, and stay as they are. */
async function change(
  files: readonly string[],
  known: string,
  pace: number,
  signal: AbortSignal,
): Promise<void> {
  let last = known;
  while (!signal.aborted) {
    const begin = performance.now();
    const now = stampOf(files).text;
    if (now !== known && now === last) return;
    last = now;
    const wait = Math.max(pace, (performance.now() - begin) / SHARE);
    await sleep(wait, undefined, { signal }).catch((error: Error) => {
      if (error.name !== 'AbortError') throw error;
    });
  }
}

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
