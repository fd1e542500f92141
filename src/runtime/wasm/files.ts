/**
 * Files for ONNX Runtime's WebAssembly build. It is linked without a file system: opening a file seems to succeed, and
 * writing to it fails. Here the calls that matter become Node's own, so that optimized graphs are written as they are by
 * the native build; what goes to the standard output, where profiles are told, can be caught.
 */
import { closeSync, openSync, writeSync } from 'node:fs';

type Call = (...args: never[]) => unknown;

/** A memory of WebAssembly, which grows; then the buffer is another one. */
interface Memory {
  readonly buffer: ArrayBufferLike;
}
const isMemory = (each: unknown): each is Memory =>
  Object.prototype.toString.call(each) === '[object WebAssembly.Memory]';

/**
 * Numbers of the calls in the table by which threads of Emscripten ask their main thread for them (onnxruntime-web
 * 1.30.0): the names of the imports are shortened, these numbers stand in their code.
 */
const OPENAT = 11;
const CLOSE = 21;
const SEEK = 24;
const WRITE = 25;
const NUMBER = /\((\d+),1,a\b/;

const NO_ENTRY = -44;
const WRITES = 3;
const STDOUT = 1;
const STDERR = 2;
/** Where a position is counted from: the start, or where the file stands. */
const FROM_START = 0;
const FROM_HERE = 1;
const NOT_SEEKABLE = 70;

export class WasmFiles {
  /** Where each open file stands, by its descriptor, which is Node's. */
  readonly #positions = new Map<number, number>();
  #memory: Memory | undefined;
  #caught: Uint8Array[] | undefined;

  /**
   * Puts these calls in the place of Emscripten's.
   * @throws Error when they are not where they are in the version of onnxruntime-web that this is made for
   */
  replace(imports: Record<string, unknown>): void {
    this.#memory = Object.values(imports).find(isMemory);
    const names = new Map<number, string>();
    for (const [name, call] of Object.entries(imports)) {
      const number = typeof call === 'function' ? NUMBER.exec(call.toString())?.[1] : undefined;
      if (number !== undefined) names.set(Number(number), name);
    }
    const put = (number: number, make: (before: Call) => Call): void => {
      const name = names.get(number);
      if (name === undefined || this.#memory === undefined)
        throw new Error(
          `onnxruntime-web is another version than the one that is asked for (no call ${number})`,
        );
      imports[name] = make(imports[name] as Call);
    };
    put(OPENAT, () => (_folder: number, path: number, flags: number) => this.#open(path, flags));
    put(CLOSE, () => (file: number) => this.#close(file));
    put(SEEK, () => this.#seek.bind(this));
    put(WRITE, (before) => (file: number, pieces: number, count: number, written: number) => {
      if (file === STDERR || (file === STDOUT && this.#caught === undefined))
        return (before as (...args: number[]) => number)(file, pieces, count, written);
      return this.#write(file, pieces, count, written);
    });
  }

  /** What is written to the standard output meanwhile. */
  catchOutput(during: () => void): string {
    this.#caught = [];
    try {
      during();
      return Buffer.concat(this.#caught).toString('utf8');
    } finally {
      this.#caught = undefined;
    }
  }

  #open(path: number, flags: number): number {
    if ((flags & WRITES) === 0) return NO_ENTRY;
    const bytes = this.#bytes;
    const start = path >>> 0;
    const name = Buffer.from(bytes.slice(start, bytes.indexOf(0, start))).toString('utf8');
    const file = openSync(name, 'w');
    this.#positions.set(file, 0);
    return file;
  }

  #close(file: number): number {
    if (this.#positions.delete(file)) closeSync(file);
    return 0;
  }

  #seek(file: number, offset: bigint, from: number, result: number): number {
    const at = this.#positions.get(file);
    if (at === undefined || (from !== FROM_START && from !== FROM_HERE)) return NOT_SEEKABLE;
    const position = Number(offset) + (from === FROM_HERE ? at : 0);
    this.#positions.set(file, position);
    new DataView(this.#memory!.buffer).setBigInt64(result >>> 0, BigInt(position), true);
    return 0;
  }

  #write(file: number, pieces: number, count: number, written: number): number {
    const view = new DataView(this.#memory!.buffer);
    let total = 0;
    for (let piece = 0; piece < count; piece++) {
      const entry = (pieces >>> 0) + 8 * piece;
      const start = view.getUint32(entry, true);
      // A copy: the memory is shared, as far as its kind goes, and files are written from memory that is not.
      const bytes = this.#bytes.slice(start, start + view.getUint32(entry + 4, true));
      total += bytes.length;
      if (file === STDOUT) this.#caught!.push(bytes);
      else this.#put(file, bytes);
    }
    view.setUint32(written >>> 0, total, true);
    return 0;
  }

  #put(file: number, bytes: Uint8Array): void {
    let at = this.#positions.get(file) ?? 0;
    for (let done = 0; done < bytes.length; )
      done += writeSync(file, bytes, done, bytes.length - done, at + done);
    at += bytes.length;
    this.#positions.set(file, at);
  }

  get #bytes(): Uint8Array {
    return new Uint8Array(this.#memory!.buffer);
  }
}
