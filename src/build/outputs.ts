/** The outputs of a build: what stands in its place already stays there, the rest is put there with everything else. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Staging } from '../compile/staging.js';
import type { Remembered } from './remembered.js';
import { type StoredFile, take } from './store.js';

export class Outputs {
  readonly #out: string;
  readonly #staging: Staging;
  readonly #remembered: Remembered;
  readonly #claimed = new Set<string>();

  /** @param out folder that the staging area puts files into */
  constructor(out: string, staging: Staging, remembered: Remembered) {
    this.#out = out;
    this.#staging = staging;
    this.#remembered = remembered;
  }

  /**
   * Takes up a file of what is kept in `folder`.
   * @param inputs files that it must not take the place of
   * @returns whether it is what its list says; where not, nothing of it is taken up
   * @throws QuantcError E_OUT_IS_INPUT, E_OUT_FOLDER
   */
  async take(name: string, file: StoredFile, folder: string, inputs: readonly string[]): Promise<boolean> {
    if (await this.#stands(name, file)) return true;
    if (!(await take(folder, file, this.#staging.path(name)))) return false;
    if (!this.#claimed.has(name)) this.#staging.claim(name, inputs);
    this.#claimed.add(name);
    return true;
  }

  /** Writes a text, unless it stands there. @throws QuantcError E_OUT_FOLDER */
  async write(name: string, text: string): Promise<void> {
    const path = join(this.#out, name);
    if (statSync(path, { throwIfNoEntry: false })?.isFile() && readFileSync(path, 'utf8') === text) return;
    await this.#staging.write(name, text, []);
  }

  async #stands(name: string, { bytes, sha256 }: StoredFile): Promise<boolean> {
    const path = join(this.#out, name);
    const stats = statSync(path, { throwIfNoEntry: false });
    return (
      stats?.isFile() === true && stats.size === bytes && (await this.#remembered.digest(path)) === sha256
    );
  }
}
