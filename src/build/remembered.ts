/**
 * What was computed from files, kept until one of them changes: told by sizes, times and inodes, as a version control's
 * index tells it, so that large models are hashed once rather than at every build.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { digestBytes, digestFile } from '../compile/file-digest.js';

/** What was computed, and every file and folder that it was computed from or looked for, by absolute paths. */
export interface Computed<T> {
  readonly value: T;
  readonly files: readonly string[];
}

interface Entry extends Computed<unknown> {
  readonly stamp: string;
}

const NAME = 'remembered.json';
const MOST_ENTRIES = 2000;
/**
 * A file that was written this short a time ago may be written again without its times showing it, on file systems
 * whose clocks are coarse: nothing is kept about it yet.
 */
const SETTLED_MS = 2000;

export class Remembered {
  readonly #folder: string | undefined;
  readonly #entries: Map<string, Entry>;
  #changed = false;

  /** @param folder of the cache; undefined remembers nothing beyond this object */
  constructor(folder: string | undefined) {
    this.#folder = folder;
    this.#entries = folder === undefined ? new Map() : read(join(folder, NAME));
  }

  /** What was computed under a name, or is now. The name says what is computed from which file; values are JSON. */
  async recall<T>(name: string, compute: () => Promise<Computed<T>>): Promise<T> {
    return (await this.#computed(name, compute)).value;
  }

  /** The files that it is computed from. */
  async filesOf(name: string, compute: () => Promise<Computed<unknown>>): Promise<readonly string[]> {
    return (await this.#computed(name, compute)).files;
  }

  async #computed<T>(name: string, compute: () => Promise<Computed<T>>): Promise<Computed<T>> {
    const known = this.#entries.get(name);
    if (known !== undefined && stampOf(known.files).text === known.stamp) return known as Computed<T>;
    const since = Date.now();
    const { value, files } = await compute();
    const stamp = stampOf(files);
    // What changed while it was read, or right before, is looked at again next time.
    if (stamp.newest < since - SETTLED_MS) {
      this.#entries.delete(name);
      this.#entries.set(name, { stamp: stamp.text, value, files });
      this.#changed = true;
    }
    return { value, files };
  }

  /** SHA-256 of one file, in hexadecimal. */
  digest(path: string): Promise<string> {
    const file = resolve(path);
    return this.recall(`sha256 ${file}`, async () => ({ value: await digestFile(file), files: [file] }));
  }

  /** Keeps it for the next process. Of several at once, the last one's stays; a folder that is read-only keeps nothing. */
  save(): void {
    if (this.#folder === undefined || !this.#changed) return;
    const text = JSON.stringify([...this.#entries].slice(-MOST_ENTRIES));
    const own = join(this.#folder, `.${NAME}-${process.pid}`);
    try {
      mkdirSync(this.#folder, { recursive: true });
      writeFileSync(own, `${digestBytes(text)}\n${text}\n`);
      renameSync(own, join(this.#folder, NAME));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
      rmSync(own, { force: true });
    }
    this.#changed = false;
  }
}

/** A list that is absent or damaged is an empty one. */
function read(file: string): Map<string, Entry> {
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return new Map();
  }
  const [digest, text = ''] = content.split('\n');
  return digestBytes(text) === digest ? new Map(JSON.parse(text) as [string, Entry][]) : new Map();
}

/** What tells that none of the files has changed, come or gone; and when the last one did. */
export function stampOf(files: readonly string[]): { readonly text: string; readonly newest: number } {
  let newest = 0;
  const hash = createHash('sha256');
  for (const file of files) {
    const stats = statSync(file, { bigint: true, throwIfNoEntry: false });
    if (stats === undefined) {
      hash.update('absent\n');
      continue;
    }
    const { size, mtimeNs, ctimeNs, ino } = stats;
    hash.update(`${size} ${mtimeNs} ${ctimeNs} ${ino}\n`);
    newest = Math.max(newest, Number(stats.mtimeMs), Number(stats.ctimeMs));
  }
  return { text: hash.digest('hex'), newest };
}
