/**
 * Quantizes weights in blocks piece by piece: a piece is a range of columns, whose results are kept in memory until
 * they are written, while the weight itself passes through in chunks that fit the processor's cache.
 */
import type { BlockBytes, BlockOutput, BlockSpec } from '../quant/block-weight.js';
import { type BlockLayout, blockLayoutOf, zeroFiller } from '../quant/block-weight.js';
import type { ByteSink, ByteSource } from './endpoint.js';
import { KernelMemory } from './module.js';

/** What assembly/blocks.ts exports. */
interface BlockKernels {
  readonly SCRATCH_BYTES: { readonly value: number };
  setBlockGrid(bits: number, symmetric: boolean, method: number, half: boolean): void;
  quantizeBlocks(
    columns: boolean,
    x: number,
    stride: number,
    count: number,
    rows: number,
    blockSize: number,
    q: number,
    qStride: number,
    scale: number,
    scaleStride: number,
    zero: number,
    zeroStride: number,
    shift: number,
    scratch: number,
  ): void;
}

const METHODS = { rtn: 0, mse: 1, hqq: 2 } as const;

/** Columns of a weight, from `first` on. */
export interface ColumnRange {
  readonly first: number;
  readonly count: number;
}

/** Results of one piece, and a chunk of its source, take about this much at most. */
const RESULT_BYTES = 8 << 20;
const CHUNK_BYTES = 1 << 20;
const WIDEST_CHUNK_BYTES = 4 << 20;
/** Blocks that the kernel works on at once. */
const LANES = 16;

/** Bytes that a column takes in each result. */
export function bytesAColumn(spec: BlockSpec): Record<BlockOutput, number> {
  const { blocks, columnBytes, zeroBytes } = blockLayoutOf(spec);
  return { q: columnBytes, scale: blocks * (spec.half ? 2 : 4), zeroPoint: zeroBytes };
}

/** Cuts a weight into pieces of about equal size. */
export function piecesOf(spec: BlockSpec): ColumnRange[] {
  const { columns } = blockLayoutOf(spec);
  const { q, scale, zeroPoint } = bytesAColumn(spec);
  const byResult = Math.floor(RESULT_BYTES / Math.max(1, q + scale + zeroPoint));
  const byChunk = spec.axis === 0 ? Math.floor(WIDEST_CHUNK_BYTES / (4 * spec.blockSize)) : columns;
  const most = Math.max(LANES, Math.min(byResult, byChunk));
  const count = Math.max(1, Math.ceil(columns / most));
  const size = Math.ceil(columns / count / LANES) * LANES;
  return Array.from({ length: Math.max(1, Math.ceil(columns / Math.max(1, size))) }, (_, i) => ({
    first: i * size,
    count: Math.max(0, Math.min(size, columns - i * size)),
  }));
}

let memory: KernelMemory<BlockKernels> | undefined;

/** Writes the results that there are sinks for; positions count from the first column of the weight. */
export function streamBlocks(
  source: ByteSource,
  spec: BlockSpec,
  piece: ColumnRange,
  sinks: Partial<Record<BlockOutput, ByteSink>>,
): void {
  memory ??= new KernelMemory<BlockKernels>('blocks.wasm');
  const work = new PieceWork(memory, source, spec, piece);
  work.run();
  for (const [output, sink] of Object.entries(sinks) as [BlockOutput, ByteSink][]) {
    const each = bytesAColumn(spec)[output];
    sink.write(work.result(output), piece.first * each);
  }
}

/** Every result of a piece, in memory. */
export function blockBytesOfPiece(source: ByteSource, spec: BlockSpec, piece: ColumnRange): BlockBytes {
  memory ??= new KernelMemory<BlockKernels>('blocks.wasm');
  const work = new PieceWork(memory, source, spec, piece);
  work.run();
  return {
    q: work.result('q').slice(),
    scale: work.result('scale').slice(),
    zeroPoint: work.result('zeroPoint').slice(),
  };
}

const align = (at: number): number => Math.ceil(at / 64) * 64;

/** Where everything of one piece lies in the kernels' memory: scratch, the source's chunk, then the results. */
class PieceWork {
  readonly #kernels: BlockKernels;
  readonly #source: ByteSource;
  readonly #spec: BlockSpec;
  readonly #piece: ColumnRange;
  readonly #layout: BlockLayout;
  readonly #width: number;
  /** Rows of the weight (axis 0) or columns of the product (axis 1) that a chunk holds. */
  readonly #atOnce: number;
  readonly #chunkAt: number;
  readonly #places: Record<BlockOutput, { readonly at: number; readonly each: number }>;
  readonly #buffer: ArrayBuffer;

  constructor(memory: KernelMemory<BlockKernels>, source: ByteSource, spec: BlockSpec, piece: ColumnRange) {
    this.#kernels = memory.kernels;
    this.#source = source;
    this.#spec = spec;
    this.#piece = piece;
    this.#layout = blockLayoutOf(spec);
    this.#width = spec.half ? 2 : 4;
    const { inner } = this.#layout;
    const line = this.#width * (spec.axis === 0 ? piece.count : inner);
    const step = spec.axis === 0 ? spec.blockSize : LANES;
    this.#atOnce = Math.max(1, Math.floor(CHUNK_BYTES / Math.max(1, line * step))) * step;
    const lines = Math.min(this.#atOnce, spec.axis === 0 ? inner : piece.count);
    this.#chunkAt = align(memory.kernels.SCRATCH_BYTES.value);
    let at = align(this.#chunkAt + lines * line);
    const sizes = bytesAColumn(spec);
    const place = (output: BlockOutput) => {
      const here = { at, each: sizes[output] };
      at = align(at + piece.count * sizes[output]);
      return here;
    };
    this.#places = { q: place('q'), scale: place('scale'), zeroPoint: place('zeroPoint') };
    this.#buffer = memory.buffer(at);
  }

  result(output: BlockOutput): Uint8Array {
    const { at, each } = this.#places[output];
    return new Uint8Array(this.#buffer, at, each * this.#piece.count);
  }

  run(): void {
    const { bits, symmetric, method, half, axis } = this.#spec;
    this.#kernels.setBlockGrid(bits, symmetric, METHODS[method], half);
    this.result('zeroPoint').fill(zeroFiller(bits));
    if (this.#piece.count === 0) return;
    if (axis === 0) this.#runColumns();
    else this.#runRuns();
  }

  /** [K, N]: blocks are columns of the weight as it lies in memory. */
  #runColumns(): void {
    const { inner } = this.#layout;
    const { blockSize } = this.#spec;
    const { first, count } = this.#piece;
    const line = this.#width * count;
    for (let row = 0; row < inner; row += this.#atOnce) {
      const rows = Math.min(this.#atOnce, inner - row);
      this.#readRows(row, rows, first, line);
      for (let at = 0; at < rows; at += blockSize) {
        const x = this.#chunkAt + at * line;
        this.#quantize(true, x, line, 0, count, Math.min(blockSize, rows - at), (row + at) / blockSize);
      }
    }
  }

  #readRows(row: number, rows: number, first: number, line: number): void {
    const whole = this.#width * this.#layout.columns;
    if (line === whole) {
      this.#source.read(new Uint8Array(this.#buffer, this.#chunkAt, rows * line), row * line);
      return;
    }
    for (let r = 0; r < rows; r++) {
      const target = new Uint8Array(this.#buffer, this.#chunkAt + r * line, line);
      this.#source.read(target, (row + r) * whole + first * this.#width);
    }
  }

  /** [N, K]: blocks are runs of the weight's rows. */
  #runRuns(): void {
    const { inner, blocks } = this.#layout;
    const { blockSize } = this.#spec;
    const { first, count } = this.#piece;
    const line = this.#width * inner;
    for (let row = 0; row < count; row += this.#atOnce) {
      const rows = Math.min(this.#atOnce, count - row);
      this.#source.read(new Uint8Array(this.#buffer, this.#chunkAt, rows * line), (first + row) * line);
      for (let at = 0; at < rows; at += LANES) {
        const lanes = Math.min(LANES, rows - at);
        for (let block = 0; block < blocks; block++) {
          const start = block * blockSize;
          const x = this.#chunkAt + at * line + start * this.#width;
          this.#quantize(false, x, line, row + at, lanes, Math.min(blockSize, inner - start), block);
        }
      }
    }
  }

  /** Block `block` of `count` columns from `column` of the piece on. */
  #quantize(
    columns: boolean,
    x: number,
    stride: number,
    column: number,
    count: number,
    rows: number,
    block: number,
  ): void {
    const { bits, blockSize } = this.#spec;
    const { q, scale, zeroPoint } = this.#places;
    const bit = block * bits;
    this.#kernels.quantizeBlocks(
      columns,
      x,
      stride,
      count,
      rows,
      blockSize,
      q.at + column * q.each + block * this.#layout.blockBytes,
      q.each,
      scale.at + column * scale.each + block * this.#width,
      scale.each,
      zeroPoint.at + column * zeroPoint.each + Math.floor(bit / 8),
      zeroPoint.each,
      bit % 8,
      0,
    );
  }
}
