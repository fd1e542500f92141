/**
 * What was built, kept by its key: a folder each, which appears whole. Many builds may share the store at once; what is
 * damaged in it is noticed by digests, taken for absent, and built anew.
 */
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { digestFile } from '../compile/file-digest.js';
import type { TargetReport } from '../report/report.js';

/** A file of an entry, by its path below the entry's folder. */
export interface StoredFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface StoredBuild {
  /** One a shape, where the model was compiled for several. */
  readonly reports: readonly TargetReport[];
  readonly files: readonly StoredFile[];
}

/** Outputs of a job, and where they lie. */
export interface Placed {
  readonly build: StoredBuild;
  readonly folder: string;
}

/** The list of an entry's files, among them. */
export const ENTRY = 'entry.json';
const KEY = /^[0-9a-f]{64}$/;
const UNFINISHED = /^\.unfinished-/;
/** Bytes that the store may hold; what was not used for longest goes first. */
const MOST_BYTES = 4 * 2 ** 30;
/** A folder under way that is older has lost its process. */
const ABANDONED_MS = 6 * 3_600_000;

export class BuildStore {
  readonly #folder: string | undefined;

  /** @param folder undefined keeps nothing */
  constructor(folder: string | undefined) {
    this.#folder = folder === undefined ? undefined : join(folder, 'builds');
  }

  /** A new folder to build into, on the store's own disk. */
  workplace(): string {
    if (this.#folder === undefined) return mkdtempSync(join(tmpdir(), 'quantc-build-'));
    mkdirSync(this.#folder, { recursive: true });
    return mkdtempSync(join(this.#folder, '.unfinished-'));
  }

  /** Writes the entry's list of files into a workplace in which a job was done: it says what is whole. */
  async seal(
    workplace: string,
    reports: readonly TargetReport[],
    paths: readonly string[],
  ): Promise<StoredBuild> {
    const files: StoredFile[] = [];
    for (const path of paths) {
      const file = join(workplace, path);
      files.push({ path, bytes: statSync(file).size, sha256: await digestFile(file) });
    }
    const build = { reports, files };
    const text = JSON.stringify(build);
    writeFileSync(join(workplace, ENTRY), `${digestOf(text)}\n${text}\n`);
    return build;
  }

  /** Keeps a sealed workplace under a key. @returns where it lies now; of two that built the same, either may stay */
  keep(key: string, workplace: string): string {
    if (this.#folder === undefined) return workplace;
    const place = join(this.#folder, key);
    try {
      renameSync(workplace, place);
      return place;
    } catch (error) {
      // Another build was first, and its bytes are the same; or the folder there is damaged, and goes.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'EPERM') throw error;
      return workplace;
    }
  }

  /** What is kept under a key, as its list says; files are looked at when they are taken. */
  find(key: string): Placed | undefined {
    if (this.#folder === undefined) return undefined;
    const folder = join(this.#folder, key);
    const build = sealedIn(folder);
    if (build === undefined) {
      if (existsSync(folder)) this.drop(key);
      return undefined;
    }
    // Used today: the last to be swept. That another sweeps it now does not matter.
    attempt(() => utimesSync(join(folder, ENTRY), new Date(), new Date()));
    return { folder, build };
  }

  /** As {@link find}, but every file is looked at now. */
  async findWhole(key: string): Promise<Placed | undefined> {
    const found = this.find(key);
    if (found === undefined || (await isWhole(found))) return found;
    this.drop(key);
    return undefined;
  }

  /** Leaves a mark by which others tell whether they look at the same store. @returns what takes it away */
  mark(name: string): () => void {
    if (this.#folder === undefined) return () => {};
    mkdirSync(this.#folder, { recursive: true });
    const file = join(this.#folder, `.mark-${name}`);
    writeFileSync(file, '');
    return () => rmSync(file, { force: true });
  }

  isMarked(name: string): boolean {
    return this.#folder !== undefined && existsSync(join(this.#folder, `.mark-${name}`));
  }

  /** Takes away what is damaged. Whoever copies from it at this moment compares digests and notices. */
  drop(key: string): void {
    if (this.#folder !== undefined)
      attempt(() => rmSync(join(this.#folder!, key), { recursive: true, force: true }));
  }

  /** Keeps the store within bounds. */
  sweep(mostBytes = MOST_BYTES): void {
    if (this.#folder === undefined || !existsSync(this.#folder)) return;
    const entries: { readonly path: string; readonly bytes: number; readonly used: number }[] = [];
    for (const name of readdirSync(this.#folder)) {
      const path = join(this.#folder, name);
      attempt(() => {
        if (UNFINISHED.test(name)) {
          if (Date.now() - statSync(path).mtimeMs > ABANDONED_MS)
            rmSync(path, { recursive: true, force: true });
        } else if (KEY.test(name)) {
          const files = readdirSync(path, { recursive: true, encoding: 'utf8' });
          const bytes = files.reduce((sum, each) => sum + statSync(join(path, each)).size, 0);
          entries.push({ path, bytes, used: statSync(join(path, ENTRY)).mtimeMs });
        }
      });
    }
    let sum = entries.reduce((total, { bytes }) => total + bytes, 0);
    for (const { path, bytes } of entries.sort((a, b) => a.used - b.used)) {
      if (sum <= mostBytes) return;
      attempt(() => rmSync(path, { recursive: true, force: true }));
      sum -= bytes;
    }
  }
}

/** What a folder's list says is in it; undefined where there is no list, or a damaged one. */
export function sealedIn(folder: string): StoredBuild | undefined {
  let content: string;
  try {
    content = readFileSync(join(folder, ENTRY), 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'EISDIR') throw error;
    return undefined;
  }
  const [digest, text = ''] = content.split('\n');
  return digestOf(text) === digest ? (JSON.parse(text) as StoredBuild) : undefined;
}

/** Whether every file is what the list says. */
export async function isWhole({ folder, build }: Placed): Promise<boolean> {
  for (const { path, sha256 } of build.files) {
    const file = join(folder, path);
    if (!existsSync(file) || (await digestFile(file)) !== sha256) return false;
  }
  return true;
}

/** Copies a file of an entry. @returns whether the copy is what the entry says; where not, nothing of it stays */
export async function take(folder: string, file: StoredFile, to: string): Promise<boolean> {
  try {
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(join(folder, file.path), to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'EISDIR') throw error;
    return false;
  }
  if (statSync(to).size === file.bytes && (await digestFile(to)) === file.sha256) return true;
  rmSync(to);
  return false;
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** For what makes no difference when it fails: another build may have been faster, or the folder is read-only. */
function attempt(action: () => void): void {
  try {
    action();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
  }
}
