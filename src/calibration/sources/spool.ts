/** A file that holds what was read or made once, for as long as somebody may want it again, and then is gone. */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QuantcError } from '../../errors/error.js';

/** Folders of spools that are in use: removed at the latest when the process ends. */
const folders = new Set<string>();
const closing = new FinalizationRegistry<{ file: number; folder: string }>(discard);
process.once('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function discard({ file, folder }: { file: number; folder: string }): void {
  closeSync(file);
  rmSync(folder, { recursive: true, force: true });
  folders.delete(folder);
}

/** Bytes on disk, appended and read again in any order. Nobody need close it. */
export class Spool {
  readonly #file: number;
  #size = 0;

  /** @throws QuantcError E_DATA_SPOOL */
  constructor() {
    try {
      const folder = mkdtempSync(join(tmpdir(), 'quantc-data-'));
      folders.add(folder);
      const path = join(folder, 'spool');
      this.#file = openSync(path, 'w+');
      closing.register(this, { file: this.#file, folder });
      // Where the system lets go of an open file's name, not even a killed process leaves anything behind.
      if (process.platform !== 'win32') rmSync(folder, { recursive: true });
    } catch (cause) {
      throw failed(cause);
    }
  }

  get size(): number {
    return this.#size;
  }

  /** @returns where the bytes begin. @throws QuantcError E_DATA_SPOOL where the disk is full */
  append(bytes: Uint8Array): number {
    const start = this.#size;
    try {
      for (let done = 0; done < bytes.length; ) {
        done += writeSync(this.#file, bytes, done, Math.min(bytes.length - done, 1 << 30), start + done);
      }
    } catch (cause) {
      throw failed(cause);
    }
    this.#size += bytes.length;
    return start;
  }

  read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const count = readSync(this.#file, bytes, done, Math.min(length - done, 1 << 30), offset + done);
      if (count === 0) throw failed(new Error('the file has become shorter'));
      done += count;
    }
    return bytes;
  }
}

const failed = (cause: unknown): QuantcError =>
  new QuantcError('E_DATA_SPOOL', `samples cannot be kept on disk: ${(cause as Error).message}`, {
    hint: `They are put into the folder for temporary files, ${tmpdir()}; the variable TMPDIR names another one.`,
    cause,
  });
