/** Files that appear whole, all together, when everything is done; or not at all. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { QuantcError } from '../errors/error.js';
import type { Model } from '../ir/graph.js';
import type { FileFacts } from '../report/report.js';
import { digestFile } from './file-digest.js';
import { removeLeftovers, stagingPrefix } from './leftovers.js';

/** A folder beside the outputs, on the same file system, in which they come to be. */
export class Staging {
  readonly #out: string;
  readonly #folder: string;
  /** The outermost folder that had to be made for the outputs. */
  readonly #made: string | undefined;
  readonly #names: string[] = [];

  /** @throws QuantcError E_OUT_FOLDER when the folder for the outputs cannot be made or written to */
  constructor(out: string) {
    this.#out = resolve(out);
    try {
      this.#made = mkdirSync(this.#out, { recursive: true });
      removeLeftovers(this.#out);
      this.#folder = mkdtempSync(join(this.#out, stagingPrefix()));
    } catch (cause) {
      throw refused(this.#out, cause);
    }
  }

  /**
   * Where to write the file that shall bear this name, which may begin with a folder's, in the end.
   * @throws QuantcError E_OUT_FOLDER
   */
  path(name: string): string {
    const path = join(this.#folder, name);
    try {
      mkdirSync(dirname(path), { recursive: true });
    } catch (cause) {
      throw refused(dirname(join(this.#out, name)), cause);
    }
    return path;
  }

  /** Writes a small file and takes it up. Parameters as of {@link add}. @throws QuantcError E_OUT_FOLDER */
  async write(name: string, bytes: string | Uint8Array, inputs: Iterable<string>): Promise<FileFacts> {
    const path = this.path(name);
    try {
      writeFileSync(path, bytes);
    } catch (cause) {
      throw refused(join(this.#out, name), cause);
    }
    return this.add(name, inputs);
  }

  /** Takes up a file that was written, for the commit. @param inputs files that it must not take the place of */
  async add(name: string, inputs: Iterable<string>): Promise<FileFacts> {
    this.claim(name, inputs);
    return this.facts(name);
  }

  /** The same for a file that is known already: nothing of it is read. */
  claim(name: string, inputs: Iterable<string>): void {
    const target = join(this.#out, name);
    if (existsSync(target)) {
      const real = realpathSync(target);
      for (const input of inputs) if (realpathSync(input) === real) throw overwrites(input);
    }
    this.#names.push(name);
  }

  /** What a file that was taken up is like now. */
  async facts(name: string): Promise<FileFacts> {
    const path = this.path(name);
    const bytes = statSync(path).size;
    return { path: name, bytes, ...(bytes <= DIGESTED && { sha256: await digestFile(path) }) };
  }

  /** Takes over the files of another folder for the same outputs. */
  take(other: Staging): void {
    for (const name of other.#names) {
      renameSync(other.path(name), this.path(name));
      this.#names.push(name);
    }
    other.#names.length = 0;
  }

  /**
   * Puts every file in its place. Models that stand there go first and new ones come last, so that at no moment, should
   * this be its last, a model stands beside data that are not its own. What cannot be put in place is put back.
   * @throws QuantcError E_OUT_FOLDER
   */
  commit(): void {
    const models = this.#names.filter((name) => /\.(?:onnx|tflite)$/.test(name));
    const others = this.#names.filter((name) => !models.includes(name));
    const undo: (() => void)[] = [];
    const move = (from: string, to: string): void => {
      renameSync(from, to);
      undo.push(() => renameSync(to, from));
    };
    const setAside = (name: string): void => {
      if (existsSync(join(this.#out, name))) move(join(this.#out, name), this.path(`${name}.old`));
    };
    let at = '';
    try {
      for (at of models) setAside(at);
      for (at of [...others, ...models]) {
        setAside(at);
        mkdirSync(dirname(join(this.#out, at)), { recursive: true });
        move(this.path(at), join(this.#out, at));
      }
    } catch (cause) {
      for (const step of undo.reverse()) step();
      throw refused(join(this.#out, at), cause);
    }
  }

  /** Takes the folder away with whatever is still in it, and the outputs' own if it was made here and holds nothing. */
  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
    if (this.#made === undefined) return;
    for (let at = this.#out; readdirSync(at).length === 0; at = dirname(at)) {
      rmdirSync(at);
      if (at === resolve(this.#made)) return;
    }
  }
}

/** The model's file and every file of external data that it reads from. */
export function filesOf(path: string, model: Model): Set<string> {
  const files = new Set([resolve(path)]);
  for (const graph of model.graphs()) {
    for (const value of graph.initializers) {
      const { source } = value.constant!;
      if (source.kind === 'file') files.add(resolve(source.path));
    }
  }
  return files;
}

/** Bytes of all files together. */
export const bytesOf = (files: Iterable<string>): number =>
  [...files].reduce((sum, file) => sum + statSync(file).size, 0);

/** Larger files are not hashed: reading them once more would take longer than making them. */
const DIGESTED = 64 << 20;

const overwrites = (input: string): QuantcError =>
  new QuantcError(
    'E_OUT_IS_INPUT',
    `the output would overwrite ${basename(input)}, which the model is read from`,
    {
      kind: 'usage',
      place: { file: input },
      hint: 'Choose another folder with --out.',
    },
  );

const refused = (path: string, cause: unknown): QuantcError =>
  new QuantcError('E_OUT_FOLDER', `cannot write there: ${(cause as Error).message}`, {
    kind: 'usage',
    place: { file: path },
    hint: 'Choose a folder that can be written to with --out.',
    cause,
  });
