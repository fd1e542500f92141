/** The WebAssembly kernels: loaded once a thread, each with a memory that holds one chunk of work. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { QuantcError } from '../errors/error.js';

/** What assembly/quantize.ts exports; pointers are byte offsets into the memory. */
export interface Kernels {
  absmaxRun(x: number, count: number, known: number): number;
  rangeRun(x: number, count: number, range: number): void;
  absmaxColumns(x: number, rows: number, columns: number, result: number): void;
  rangeColumns(x: number, rows: number, columns: number, least: number, most: number): void;
  quantizeRun(
    x: number,
    count: number,
    result: number,
    scale: number,
    zero: number,
    lowest: number,
    highest: number,
  ): void;
  quantizeColumns(
    x: number,
    rows: number,
    columns: number,
    result: number,
    scales: number,
    zero: number,
    lowest: number,
    highest: number,
  ): void;
  quantizeColumnsAffine(
    x: number,
    rows: number,
    columns: number,
    result: number,
    scales: number,
    zeros: number,
    lowest: number,
    highest: number,
  ): void;
}

// TypeScript knows WebAssembly from the browser's library alone; these are the parts used here.
declare class WebAssemblyModule {}
declare class WebAssemblyMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => WebAssemblyModule;
  Memory: new (options: { initial: number }) => WebAssemblyMemory;
  Instance: new (
    module: WebAssemblyModule,
    imports: Record<string, Record<string, unknown>>,
  ) => { readonly exports: unknown };
};

const PAGE = 65536;

/** Kernels of one module, `K`, and their memory, which only grows. */
export class KernelMemory<K = Kernels> {
  readonly kernels: K;
  readonly #memory: WebAssemblyMemory;

  /**
   * @param file a module that `npm run build:wasm` made
   * @throws QuantcError F_KERNELS_MISSING when it was not made
   */
  constructor(file = 'quantize.wasm') {
    this.#memory = new WebAssembly.Memory({ initial: 1 });
    const instance = new WebAssembly.Instance(compiled(file), { env: { memory: this.#memory } });
    this.kernels = instance.exports as K;
  }

  /** A buffer of at least so many bytes. Earlier views are void when it had to grow. */
  buffer(byteLength: number): ArrayBuffer {
    const missing = byteLength - this.#memory.buffer.byteLength;
    if (missing > 0) this.#memory.grow(Math.ceil(missing / PAGE));
    return this.#memory.buffer;
  }
}

let shared: KernelMemory | undefined;

/** The one instance of this thread. Work with it is synchronous, so that nobody else touches the memory meanwhile. */
export function kernelMemory(): KernelMemory {
  shared ??= new KernelMemory();
  return shared;
}

const modules = new Map<string, WebAssemblyModule>();

function compiled(file: string): WebAssemblyModule {
  let module = modules.get(file);
  if (module === undefined) {
    const path = fileURLToPath(new URL(`./${file}`, import.meta.url));
    try {
      module = new WebAssembly.Module(readFileSync(path));
    } catch (cause) {
      throw new QuantcError('F_KERNELS_MISSING', 'the WebAssembly kernels cannot be loaded', {
        kind: 'fault',
        place: { file: path },
        hint: 'In a checkout, `npm run build:wasm` makes them; an installed package carries them.',
        cause,
      });
    }
    modules.set(file, module);
  }
  return module;
}
