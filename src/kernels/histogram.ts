/** Extremes and counts of elements by the WebAssembly kernel, in memory that ONNX Runtime may write its results to. */
import { type Counter, REFERENCE, SIDE } from '../quant/counter.js';
import { KernelMemory } from './module.js';

/** What assembly/histogram.ts exports; pointers are byte offsets into the memory. */
interface HistogramKernels {
  extremes(x: number, count: number, result: number): number;
  count(x: number, elements: number, inverse: number, tables: number): number;
}

const TABLES = 4;
const TABLE_BYTES = 2 * SIDE * 4;
/** Where the kernel writes extremes; the tables follow, then a piece of elements from elsewhere, then the arena. */
const RESULT = 16;
const TABLES_AT = 1024;
const PIECE_AT = TABLES_AT + TABLES * TABLE_BYTES;
/** Elements that do not lie in the memory pass through it in pieces of so many. */
const PIECE = 1 << 16;
const ARENA_AT = PIECE_AT + PIECE * 4;
const LINE = 64;
/** Fewer elements than this are counted one by one: adding up the tables would take longer. */
const FEW = 2048;
/** Bins so narrow, or so wide, that their width or its inverse has no exact float32. */
const [NARROWEST, WIDEST] = [2 ** -126, 2 ** 126];

/** Counts as the reference does, element for element, several times as fast. */
export class HistogramKernel implements Counter {
  readonly #memory: KernelMemory<HistogramKernels>;

  /** @throws QuantcError F_KERNELS_MISSING when the kernels were not built */
  constructor() {
    this.#memory = new KernelMemory('histogram.wasm');
    this.#memory.buffer(ARENA_AT);
  }

  /**
   * Room for so many arrays of float32 elements, in which they are looked at without being copied. It takes the place
   * of the room given before.
   * @param lengths in elements
   */
  arena(lengths: readonly number[]): Float32Array[] {
    let end = ARENA_AT;
    const places = lengths.map((length) => {
      const place = end;
      // Each begins on a line of the processor's cache.
      end += Math.ceil((length * 4) / LINE) * LINE;
      return place;
    });
    const buffer = this.#memory.buffer(end);
    return places.map((place, i) => new Float32Array(buffer, place, lengths[i]!));
  }

  extremes(elements: Float32Array): { min: number; max: number; finite: boolean } {
    const { kernels } = this.#memory;
    let min = Number.POSITIVE_INFINITY;
    let max = Number.NEGATIVE_INFINITY;
    let finite = true;
    this.#inPlace(elements, (at, length) => {
      finite = kernels.extremes(at, length, RESULT) === 1 && finite;
      const found = new Float32Array(this.#memory.buffer(0), RESULT, 2);
      if (found[0]! < min) min = found[0]!;
      if (found[1]! > max) max = found[1]!;
    });
    return { min, max, finite };
  }

  count(elements: Float32Array, width: number, counts: Float64Array, min: number, max: number): number {
    if (width === 0) return elements.length;
    if (elements.length < FEW || width < NARROWEST || width > WIDEST)
      return REFERENCE.count(elements, width, counts, min, max);
    const first = Math.floor(Math.min(min, 0) / width) + SIDE;
    const last = Math.floor(Math.max(max, 0) / width) + SIDE;
    let zeros = 0;
    const tables = new Uint32Array(this.#memory.buffer(0), TABLES_AT, TABLES * 2 * SIDE);
    this.#inPlace(elements, (at, length) => {
      zeros += this.#memory.kernels.count(at, length, 1 / width, TABLES_AT);
    });
    for (let bin = first; bin <= last; bin++) {
      counts[bin]! +=
        tables[bin]! + tables[bin + 2 * SIDE]! + tables[bin + 4 * SIDE]! + tables[bin + 6 * SIDE]!;
    }
    for (let table = 0; table < TABLES; table++)
      tables.fill(0, table * 2 * SIDE + first, table * 2 * SIDE + last + 1);
    counts[SIDE]! -= zeros;
    return zeros;
  }

  /** Shows the kernel all elements: where they lie, or a copy of them, piece by piece. */
  #inPlace(elements: Float32Array, look: (at: number, length: number) => void): void {
    const buffer = this.#memory.buffer(0);
    if (elements.buffer === buffer) {
      look(elements.byteOffset, elements.length);
      return;
    }
    const piece = new Float32Array(buffer, PIECE_AT, PIECE);
    for (let at = 0; at < elements.length; at += PIECE) {
      const some = elements.subarray(at, at + PIECE);
      piece.set(some);
      look(PIECE_AT, some.length);
    }
  }
}
