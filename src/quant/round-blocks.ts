/**
 * Weights in blocks rounded together: scales and zero points are fitted with elements counted by the size of what they
 * are multiplied with, then integers are chosen by `settleRows`, so that their errors add up to little in the product.
 */
import { f16round } from '@petamoriken/float16';
import type { MatrixEngine } from '../ir/matrix.js';
import { roundHalfEven } from './affine.js';
import { type Asking, answered, answeredBy } from './asked-products.js';
import { type BlockFit, type BlockGrid, fitBlock } from './block-fit.js';
import { type BlockBytes, BlockPacker, type BlockSpec, blockLayoutOf } from './block-weight.js';
import { blockFor, type Metric, settleSteps } from './nearest-plane.js';

/** Columns of the product that are rounded at a time, and with an engine's products. */
const COLUMNS = 64;
const COLUMNS_BY_ENGINE = 1024;

/** What is to be rounded, at any bits and in blocks of any size. */
export type RoundSpec = Omit<BlockSpec, 'bits'> & BlockGrid;

/** Gets each block's scale, zero point and integers. */
export type PutBlock = (column: number, block: number, fit: BlockFit, integers: Uint8Array) => void;

/**
 * @param values the weight, laid out as the spec says
 * @param metrics of equal parts of the inner dimension, in order
 */
export function roundBlocks(values: Float32Array, spec: BlockSpec, metrics: readonly Metric[]): BlockBytes {
  const packer = new BlockPacker(spec);
  roundInto(values, spec, metrics, (...block) => packer.put(...block));
  return packer.bytes;
}

/** The same for any grid, block by block. Parameters as for {@link roundBlocks}. */
export function roundInto(
  values: Float32Array,
  spec: RoundSpec,
  metrics: readonly Metric[],
  put: PutBlock,
): void {
  answered(roundSteps(values, spec, metrics, put, false));
}

/** The same, with an engine's products where it is worth while. @throws errors of the engine */
export async function roundIntoBy(
  engine: MatrixEngine | undefined,
  values: Float32Array,
  spec: RoundSpec,
  metrics: readonly Metric[],
  put: PutBlock,
): Promise<void> {
  if (engine === undefined) roundInto(values, spec, metrics, put);
  else await answeredBy(roundSteps(values, spec, metrics, put, true), engine);
}

function* roundSteps(
  values: Float32Array,
  spec: RoundSpec,
  metrics: readonly Metric[],
  put: PutBlock,
  asks: boolean,
): Asking<void> {
  const { axis } = spec;
  const { inner, columns } = blockLayoutOf(spec);
  const importance = importanceOf(metrics, inner);
  const step = asks ? COLUMNS_BY_ENGINE : COLUMNS;
  for (let first = 0; first < columns; first += step) {
    const count = Math.min(step, columns - first);
    const weights = new Float32Array(count * inner);
    for (let c = 0; c < count; c++) {
      for (let k = 0; k < inner; k++)
        weights[c * inner + k] = values[axis === 0 ? k * columns + first + c : (first + c) * inner + k]!;
    }
    yield* roundColumns(weights, first, { spec, metrics, importance, put, asks });
  }
}

interface Rounding {
  readonly spec: RoundSpec;
  readonly metrics: readonly Metric[];
  readonly importance: Float32Array;
  readonly put: PutBlock;
  readonly asks: boolean;
}

function* roundColumns(
  weights: Float32Array,
  first: number,
  { spec, metrics, importance, put, asks }: Rounding,
): Asking<void> {
  const { blockSize } = spec;
  const { inner, blocks } = blockLayoutOf(spec);
  const count = weights.length / inner;
  const fits: BlockFit[] = [];
  for (let c = 0; c < count; c++) {
    for (let b = 0; b < blocks; b++) {
      const [from, to] = [b * blockSize, Math.min(inner, (b + 1) * blockSize)];
      fits.push(
        fitBlock(weights.subarray(c * inner + from, c * inner + to), spec, importance.subarray(from, to)),
      );
    }
  }
  // What integers of a column cost together is known once they are settled: the width of its grids is chosen by it.
  let best: Settled | undefined;
  for (const width of widthsFor(spec)) {
    const settled: Settled = yield* settleColumns(
      weights,
      fits.map((fit) => narrowed(fit, width, spec)),
      spec,
      metrics,
      asks,
    );
    if (best === undefined) best = settled;
    else takeCheaper(best, settled, inner, blocks);
  }
  const { fits: chosen, integers } = best!;
  for (let c = 0; c < count; c++) {
    for (let b = 0; b < blocks; b++) {
      const start = c * inner + b * blockSize;
      put(first + c, b, chosen[c * blocks + b]!, integers.subarray(start, start + blockSize));
    }
  }
}

/** Columns of weights with the integers that were found for them. */
interface Settled {
  readonly fits: BlockFit[];
  readonly integers: Uint8Array;
  /** dᵀ·A·d of each column's errors. */
  readonly costs: Float64Array;
}

/** Shares of the grids that single weights want, tried for columns: with few bits and errors that cancel, less is more. */
const WIDTHS = [1, 0.95, 0.9, 0.85, 0.8];
/** Multiplications of one settling beyond which one is enough. */
const MOST_WORK = 2 ** 34;

function widthsFor({ shape, axis, bits }: RoundSpec): readonly number[] {
  return bits <= 4 && shape[0] * shape[1] * shape[axis]! <= MOST_WORK ? WIDTHS : [1];
}

function narrowed({ scale, zeroPoint }: BlockFit, width: number, { half }: RoundSpec): BlockFit {
  const smaller = half ? f16round(scale * width) : Math.fround(scale * width);
  return { scale: width === 1 || smaller === 0 ? scale : smaller, zeroPoint };
}

function* settleColumns(
  weights: Float32Array,
  fits: BlockFit[],
  spec: RoundSpec,
  metrics: readonly Metric[],
  asks: boolean,
): Asking<Settled> {
  const { bits, blockSize } = spec;
  const { inner, blocks } = blockLayoutOf(spec);
  const full = 2 ** bits - 1;
  const count = weights.length / inner;
  const integers = new Uint8Array(weights.length);
  const costs = new Float64Array(count);
  for (const [part, metric] of metrics.entries()) {
    const from = part * metric.size;
    const own = new Float64Array(count * metric.size);
    for (let c = 0; c < count; c++)
      own.set(weights.subarray(c * inner + from, c * inner + from + metric.size), c * metric.size);
    const settle = (row: number, index: number, wished: number): number => {
      const at = from + index;
      const { scale, zeroPoint } = fits[row * blocks + Math.floor(at / blockSize)]!;
      // What is 0 was pruned, for the most part, and stays so.
      const nearest =
        scale === 0 || weights[row * inner + at] === 0
          ? zeroPoint
          : roundHalfEven(wished / scale) + zeroPoint;
      const integer = Math.min(Math.max(nearest, 0), full);
      integers[row * inner + at] = integer;
      return (integer - zeroPoint) * scale;
    };
    const found = yield* settleSteps(metric, own, settle, blockFor(metric.size, asks));
    for (let c = 0; c < count; c++) costs[c]! += found[c]!;
  }
  return { fits, integers, costs };
}

/** Puts the columns that another settling made cheaper in the place of their own. */
function takeCheaper(best: Settled, other: Settled, inner: number, blocks: number): void {
  for (const [c, cost] of other.costs.entries()) {
    if (!(cost < best.costs[c]!)) continue;
    best.costs[c] = cost;
    best.integers.set(other.integers.subarray(c * inner, (c + 1) * inner), c * inner);
    for (let b = 0; b < blocks; b++) best.fits[c * blocks + b] = other.fits[c * blocks + b]!;
  }
}

/** The mean square of what each element is multiplied with, all together 1 on average; never quite 0. */
export function importanceOf(metrics: readonly Metric[], inner: number): Float32Array {
  const importance = new Float32Array(inner);
  let sum = 0;
  metrics.forEach(({ matrix, size }, part) => {
    for (let i = 0; i < size; i++) {
      importance[part * size + i] = matrix[i * size + i]!;
      sum += matrix[i * size + i]!;
    }
  });
  const mean = sum / inner;
  return importance.map((each) => (mean > 0 ? each / mean : 1) + 0.01);
}
