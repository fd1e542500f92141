/**
 * Answers that took long, kept from one compilation to the next. An answer is found by what was asked: its file is
 * named by the SHA-256 of the kind of question, all that the answer depends on, and the code of quantc itself, so that
 * an answer can be missed but never be out of date.
 */
import { createHash, randomBytes } from 'node:crypto';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { QuantcError } from '../errors/error.js';
import { dataOf, textOf } from './answer-text.js';
import { codeDigest } from './code-digest.js';

export interface CacheOptions {
  /** Bytes that the folder may hold; what was not read for longest goes first. Default 512 MiB. */
  readonly maxBytes?: number;
}

const MAX_BYTES = 512 << 20;
/** Files of answers; `.tmp` are those that are being written, or were when their process died. */
const ANSWER = /^[0-9a-f]{64}\.json$/;
const UNFINISHED = /^[0-9a-f]{64}\.[0-9a-f]+\.tmp$/;
/** An unfinished file that is older than this has lost its process. */
const ABANDONED_MS = 3_600_000;

/** One compilation's view of the answers kept in a folder, or, without one, of its own. Many may share a folder. */
export class AnswerCache {
  readonly #folder: string | undefined;
  readonly #options: CacheOptions;
  /** Questions under way, and, where nothing can be written, those answered: text by key. */
  readonly #asked = new Map<string, Promise<string>>();
  #writable: boolean;
  #swept = false;
  /** Why the folder cannot be written to, once that was seen: answers then last as long as the compilation. */
  refused: string | undefined;
  /** Questions answered without computing, and with. */
  hits = 0;
  misses = 0;

  constructor(folder: string | undefined, options: CacheOptions = {}) {
    this.#folder = folder;
    this.#options = options;
    this.#writable = folder !== undefined;
  }

  /**
   * The answer to a question: kept, or from `compute`. Asked twice at once, it is computed once. What `compute` throws
   * is thrown to everybody who waits, and nothing is kept.
   * @param key everything that the answer depends on besides quantc's own code
   * @returns a copy of the answer of its own, through text, whether it was kept or not
   * @throws QuantcError F_CACHE_DATA where key or answer are not plain data; see `answer-text.ts`
   */
  async remember<T>(kind: string, key: readonly unknown[], compute: () => Promise<T>): Promise<T> {
    const question = textOf([kind, codeDigest(), key], 'sorted');
    const name = sha256(question);
    let text = this.#asked.get(name);
    if (text === undefined) {
      text = this.#answer(name, question, compute);
      this.#asked.set(name, text);
      // A file answers from then on. Failures are not answers.
      const forget = (): void => void this.#asked.delete(name);
      text.then(() => this.#writable && forget(), forget);
    } else this.hits += 1;
    return dataOf(await text) as T;
  }

  async #answer(name: string, question: string, compute: () => Promise<unknown>): Promise<string> {
    const kept = this.#read(name, question);
    if (kept !== undefined) {
      this.hits += 1;
      return kept;
    }
    this.misses += 1;
    const text = textOf(await compute());
    this.#write(name, question, text);
    return text;
  }

  /** The answer kept under this name, if it is whole and answers this very question. A file that is not is removed. */
  #read(name: string, question: string): string | undefined {
    if (this.#folder === undefined) return undefined;
    const path = join(this.#folder, `${name}.json`);
    let content: string;
    try {
      content = readFileSync(path, 'utf8');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ENOTDIR') this.#refuse(error as Error);
      return undefined;
    }
    const [digest, asked, answer, ...rest] = content.split('\n');
    if (
      asked === question &&
      answer !== undefined &&
      rest.join() === '' &&
      sha256(`${asked}\n${answer}`) === digest
    ) {
      // Read today: the last to be swept. That another sweeps it now, or that the folder is read-only, does not matter.
      attempt(() => utimesSync(path, new Date(), new Date()));
      return answer;
    }
    attempt(() => rmSync(path, { force: true }));
    return undefined;
  }

  /** Whole or not at all: written beside its place, then renamed. Of two that write the same answer, either may stay. */
  #write(name: string, question: string, answer: string): void {
    if (this.#folder === undefined || !this.#writable) return;
    const unfinished = join(this.#folder, `${name}.${randomBytes(6).toString('hex')}.tmp`);
    try {
      mkdirSync(this.#folder, { recursive: true });
      writeFileSync(unfinished, `${sha256(`${question}\n${answer}`)}\n${question}\n${answer}\n`);
      renameSync(unfinished, join(this.#folder, `${name}.json`));
    } catch (error) {
      attempt(() => rmSync(unfinished, { force: true }));
      this.#refuse(error as Error);
      return;
    }
    if (!this.#swept) this.#sweep(this.#folder);
    this.#swept = true;
  }

  #refuse(error: Error): void {
    this.refused ??= error.message;
    this.#writable = false;
  }

  /** Keeps the folder within bounds, once a compilation. Files that others remove meanwhile are gone all the same. */
  #sweep(folder: string): void {
    const now = Date.now();
    const files = readdirSync(folder).flatMap((name) => {
      const path = join(folder, name);
      const facts = ANSWER.test(name) || UNFINISHED.test(name) ? attempt(() => statSync(path)) : undefined;
      return facts ? [{ path, name, bytes: facts.size, time: facts.mtimeMs }] : [];
    });
    files.sort((a, b) => b.time - a.time);
    let room = this.#options.maxBytes ?? MAX_BYTES;
    for (const { path, name, bytes, time } of files) {
      const keep = ANSWER.test(name) ? bytes <= room : now - time < ABANDONED_MS;
      if (!keep) attempt(() => rmSync(path, { force: true }));
      else room -= bytes;
    }
  }
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** For what makes no difference when it fails: the cache is for speed, and another process may have been faster. */
function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if (error instanceof QuantcError) throw error;
    return undefined;
  }
}
