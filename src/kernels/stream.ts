/**
 * Quantizes a weight of any size in small chunks: scales from a first walk over the bytes, integers from a second.
 * A chunk fits the processor's cache, so the second read of a file costs less than keeping the weight in memory would,
 * and memory stays small however large the tensor is.
 */
import { usableBounds } from '../quant/affine.js';
import { type FittedScales, type Ranges, scalesFromRanges } from '../quant/fit.js';
import { type Layout, layoutOf } from '../quant/layout.js';
import type { WeightSpec } from '../quant/weight.js';
import type { ByteSink, ByteSource } from './endpoint.js';
import { type KernelMemory, kernelMemory } from './module.js';

/** Elements of one chunk: 512 KiB of float32. */
const CHUNK = 1 << 17;

/** Whether {@link streamWeight} knows the spec; what it does not know, the reference computes. */
export function canStream(spec: WeightSpec): boolean {
  if (spec.dtype !== 'int8' && spec.dtype !== 'uint8') return false;
  if (spec.search !== 'absmax' || typeof spec.granularity === 'object') return false;
  const layout = layoutOf(spec.shape, spec.axis, spec.granularity);
  return layout.inner > 1 || layout.channels <= CHUNK;
}

/**
 * Writes the quantized bytes of float32 values to `sink` (if there is one) and returns the scales.
 * @param known scales found before; the first walk is then left out.
 */
export function streamWeight(
  source: ByteSource,
  spec: WeightSpec,
  sink: ByteSink | undefined,
  known?: FittedScales,
): FittedScales {
  const layout = layoutOf(spec.shape, spec.axis, spec.granularity);
  const byColumn = spec.granularity === 'axis' && layout.inner === 1;
  const walk = byColumn ? new ColumnWalk(source, spec, layout) : new RunWalk(source, spec, layout);
  const scales = known ?? scalesFromRanges(walk.ranges(), spec.dtype, spec);
  if (sink) walk.quantize(scales, sink);
  return scales;
}

/** Memory of a walk: parameter arrays first, then the chunk, then its integers. */
class Arena {
  readonly memory: KernelMemory = kernelMemory();
  readonly #parameters: number;
  readonly chunkAt: number;
  readonly resultAt: number;
  readonly buffer: ArrayBuffer;

  constructor(parameters: number, chunk: number) {
    this.#parameters = parameters;
    this.chunkAt = align(4 * 4 * parameters);
    this.resultAt = align(this.chunkAt + 4 * chunk);
    this.buffer = this.memory.buffer(this.resultAt + chunk);
  }

  floats(slot: 0 | 1): Float32Array {
    return new Float32Array(this.buffer, this.at(slot), this.#parameters);
  }

  integers(slot: 2): Int32Array {
    return new Int32Array(this.buffer, this.at(slot), this.#parameters);
  }

  at(slot: 0 | 1 | 2): number {
    return 4 * slot * this.#parameters;
  }

  bytes(at: number, length: number): Uint8Array {
    return new Uint8Array(this.buffer, at, length);
  }
}

const align = (at: number): number => Math.ceil(at / 64) * 64;

/** The last axis: rows of `channels` elements, a scale for each column. */
class ColumnWalk {
  readonly #source: ByteSource;
  readonly #spec: WeightSpec;
  readonly #rows: number;
  readonly #columns: number;
  readonly #rowsAtOnce: number;
  readonly #arena: Arena;

  constructor(source: ByteSource, spec: WeightSpec, layout: Layout) {
    this.#source = source;
    this.#spec = spec;
    this.#rows = layout.outer;
    this.#columns = layout.channels;
    const most = Math.max(1, Math.floor(CHUNK / Math.max(1, layout.channels)));
    this.#rowsAtOnce = Math.min(this.#rows, most >= 4 ? most - (most % 4) : most);
    this.#arena = new Arena(layout.channels, this.#rowsAtOnce * layout.channels);
  }

  ranges(): Ranges {
    const { memory } = this.#arena;
    const max = this.#arena.floats(0).fill(0);
    const min = this.#arena.floats(1).fill(0);
    this.#eachChunk((at, rows) => {
      if (this.#spec.symmetric) memory.kernels.absmaxColumns(at, rows, this.#columns, this.#arena.at(0));
      else memory.kernels.rangeColumns(at, rows, this.#columns, this.#arena.at(1), this.#arena.at(0));
    });
    return { min: min.slice(), max: max.slice() };
  }

  quantize(scales: FittedScales, sink: ByteSink): void {
    const arena = this.#arena;
    const { min, max } = usableBounds(this.#spec.dtype, this.#spec);
    arena.floats(0).set(scales.scale);
    arena.integers(2).set(scales.zeroPoint);
    this.#eachChunk((at, rows, first) => {
      const columns = this.#columns;
      const { kernels } = arena.memory;
      const to = arena.resultAt;
      if (this.#spec.symmetric) {
        kernels.quantizeColumns(at, rows, columns, to, arena.at(0), scales.zeroPoint[0]!, min, max);
      } else {
        kernels.quantizeColumnsAffine(at, rows, columns, to, arena.at(0), arena.at(2), min, max);
      }
      sink.write(arena.bytes(arena.resultAt, rows * columns), first * columns);
    });
  }

  #eachChunk(visit: (at: number, rows: number, first: number) => void): void {
    const arena = this.#arena;
    const rowBytes = 4 * this.#columns;
    for (let first = 0; first < this.#rows && this.#columns > 0; first += this.#rowsAtOnce) {
      const rows = Math.min(this.#rowsAtOnce, this.#rows - first);
      this.#source.read(arena.bytes(arena.chunkAt, rows * rowBytes), first * rowBytes);
      visit(arena.chunkAt, rows, first);
    }
  }
}

/** Any other axis, or the whole tensor: runs of `inner` elements that share a scale. */
class RunWalk {
  readonly #source: ByteSource;
  readonly #spec: WeightSpec;
  readonly #layout: Layout;
  readonly #count: number;
  readonly #arena: Arena;

  constructor(source: ByteSource, spec: WeightSpec, layout: Layout) {
    this.#source = source;
    this.#spec = spec;
    this.#layout = layout;
    this.#count = layout.outer * layout.channels * layout.inner;
    // One pair of floats is all that the kernels themselves want of parameters here.
    this.#arena = new Arena(4, Math.min(CHUNK, this.#count));
  }

  ranges(): Ranges {
    const { kernels } = this.#arena.memory;
    const min = new Float32Array(this.#layout.channels);
    const max = new Float32Array(this.#layout.channels);
    const pair = this.#arena.floats(0);
    this.#eachPiece((at, length, channel) => {
      if (this.#spec.symmetric) {
        max[channel] = kernels.absmaxRun(at, length, max[channel]!);
      } else {
        pair[0] = min[channel]!;
        pair[1] = max[channel]!;
        kernels.rangeRun(at, length, this.#arena.at(0));
        min[channel] = pair[0]!;
        max[channel] = pair[1]!;
      }
    });
    return { min, max };
  }

  quantize({ scale, zeroPoint }: FittedScales, sink: ByteSink): void {
    const { memory, chunkAt, resultAt } = this.#arena;
    const { min, max } = usableBounds(this.#spec.dtype, this.#spec);
    this.#eachPiece(
      (at, length, c) => {
        const to = resultAt + (at - chunkAt) / 4;
        memory.kernels.quantizeRun(at, length, to, scale[c]!, zeroPoint[c]!, min, max);
      },
      (first, length) => sink.write(this.#arena.bytes(resultAt, length), first),
    );
  }

  #eachPiece(
    visit: (at: number, length: number, channel: number) => void,
    chunkDone?: (first: number, length: number) => void,
  ): void {
    const arena = this.#arena;
    const { inner, channels } = this.#layout;
    for (let first = 0; first < this.#count; first += CHUNK) {
      const last = Math.min(first + CHUNK, this.#count);
      this.#source.read(arena.bytes(arena.chunkAt, 4 * (last - first)), 4 * first);
      for (let start = first; start < last; ) {
        const run = Math.floor(start / inner);
        const end = Math.min((run + 1) * inner, last);
        visit(arena.chunkAt + 4 * (start - first), end - start, run % channels);
        start = end;
      }
      chunkDone?.(first, last - first);
    }
  }
}
