/** First grids of weights, and what weights become on a grid, element by element as the training graph has it. */
import { QuantcError } from '../errors/error.js';
import { Tensor } from '../ir/tensor.js';
import { type Grid, weightGrid } from './fake-quant.js';

/** What a grid is to be like. */
export interface GridForm {
  readonly bits: number;
  /** The axis along which scales differ (channels), or that is cut in blocks; absent: one scale for all. */
  readonly axis?: number;
  readonly blockSize?: number;
  /** The largest magnitude of its integers, where it is less than the bits have room for. */
  readonly limit?: number;
}

/** Round to even, as ONNX rounds. */
function roundHalfEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  if (rest !== 0.5) return Math.round(x);
  return down % 2 === 0 ? down : down + 1;
}

/** The nearest integer, or the nearest odd one. */
const integerNear = (x: number, { odd }: Pick<Grid, 'odd'>): number =>
  // In float32, as graphs have it: what lies a hair below 0 goes up with it.
  odd ? 2 * roundHalfEven(Math.fround(x - 1) / 2) + 1 : roundHalfEven(x);

/** Of signs, and signs with 0, steps are sought up to so many times the mean magnitude: the largest says little. */
const WIDEST = 2.5;

function meansOf(values: Float32Array, index: Uint32Array, count: number): Float64Array {
  const [sums, counts] = [new Float64Array(count), new Float64Array(count)];
  values.forEach((each, at) => {
    sums[index[at]!]! += Math.abs(each);
    counts[index[at]!]! += 1;
  });
  return sums.map((sum, at) => sum / counts[at]!);
}

/** The index of each element's scale, in the order of elements. */
export function scaleIndices(
  shape: readonly number[],
  grid: Pick<Grid, 'axis' | 'blockSize'>,
): { index: Uint32Array; shape: number[] } {
  const count = shape.reduce((product, size) => product * size, 1);
  const index = new Uint32Array(count);
  if (grid.axis === undefined) return { index, shape: [] };
  const axis = grid.axis < 0 ? grid.axis + shape.length : grid.axis;
  const inner = shape.slice(axis + 1).reduce((product, size) => product * size, 1);
  const size = shape[axis]!;
  const { blockSize } = grid;
  if (blockSize === undefined) {
    for (let at = 0; at < count; at++) index[at] = Math.floor(at / inner) % size;
    return { index, shape: [size] };
  }
  const blocks = Math.ceil(size / blockSize);
  for (let at = 0; at < count; at++) {
    const outer = Math.floor(at / (inner * size));
    const block = Math.floor((Math.floor(at / inner) % size) / blockSize);
    index[at] = (outer * blocks + block) * inner + (at % inner);
  }
  return { index, shape: shape.map((each, place) => (place === axis ? blocks : each)) };
}

/** Ranges that are tried: the whole, and down to a fifth of it. */
const SHRINK = Array.from({ length: 41 }, (_, at) => (50 - at) / 50);

/**
 * A signed grid with symmetric scales for a weight: of 41 ranges from the largest magnitude down, the one with the least
 * Σ (w − ŵ)² for each scale.
 * @throws QuantcError E_TRAINING_GRID for bits that make no grid, an axis that is not there, or weights that are not finite
 */
export function fittedGrid(weight: Tensor, form: GridForm): Grid {
  const { axis, blockSize, limit = Number.POSITIVE_INFINITY } = form;
  const full = weightGrid(form.bits);
  const ends = { ...full, low: Math.max(full.low, -limit), high: Math.min(full.high, limit) };
  const values = weight.toFloat32();
  const rank = weight.shape.length;
  if ((axis !== undefined && (axis >= rank || axis < -rank)) || !values.every(Number.isFinite)) {
    throw new QuantcError(
      'E_TRAINING_GRID',
      `${weight.name} has no axis ${axis}, or elements that are not finite`,
      {
        place: { value: weight.name },
      },
    );
  }
  const { index, shape } = scaleIndices(weight.shape, form);
  const count = shape.reduce((product, size) => product * size, 1);
  const largest = new Float32Array(count);
  values.forEach((each, at) => {
    largest[index[at]!] = Math.max(largest[index[at]!]!, Math.abs(each));
  });
  const few = ends.high === 1;
  if (few) largest.set(meansOf(values, index, count).map((mean) => WIDEST * mean));
  const best = new Float64Array(count).fill(Number.POSITIVE_INFINITY);
  const scale = new Float32Array(count);
  const trial = new Float32Array(count);
  const errors = new Float64Array(count);
  for (const shrink of SHRINK) {
    for (let at = 0; at < count; at++)
      trial[at] = largest[at]! === 0 ? 1 : (largest[at]! * shrink) / ends.high;
    errors.fill(0);
    values.forEach((each, at) => {
      const step = trial[index[at]!]!;
      const integer = integerNear(Math.min(Math.max(each / step, ends.low), ends.high), ends);
      errors[index[at]!]! += (each - integer * step) ** 2;
    });
    for (let at = 0; at < count; at++) {
      if (errors[at]! >= best[at]!) continue;
      best[at] = errors[at]!;
      scale[at] = trial[at]!;
    }
  }
  return {
    ...ends,
    scale: Tensor.floats(scale, shape),
    ...(axis !== undefined && { axis }),
    ...(blockSize !== undefined && { blockSize }),
  };
}

/** A weight on a grid: its integers, and the float32 that they stand for. */
export interface OnGrid {
  readonly integers: Int16Array;
  readonly values: Tensor;
}

/** What a weight becomes on a grid with these scales: the same numbers as `fakeQuantized` gives in a graph. */
export function putOnGrid(weight: Tensor, grid: Grid): OnGrid {
  const values = weight.toFloat32();
  const scales = grid.scale.toFloat32();
  const zeros = grid.zeroPoint?.toNumbers();
  const { index } = scaleIndices(weight.shape, grid);
  const integers = new Int16Array(values.length);
  const put = new Float32Array(values.length);
  values.forEach((each, at) => {
    const which = index[at]!;
    const zero = zeros?.[which] ?? 0;
    const ratio = Math.fround(each / scales[which]!);
    // Zero is added for what rounds to −0.
    const integer = integerNear(Math.min(Math.max(ratio, grid.low - zero), grid.high - zero), grid) + 0;
    integers[at] = integer + zero;
    put[at] = integer * scales[which]!;
  });
  return { integers, values: Tensor.of('float', weight.shape, put, { name: weight.name }) };
}

/** How far from a grid point what rounds to it may begin, in steps. */
const NEAR = 0.3;

/**
 * A weight on a grid, moved towards what it was before: each element as far as it still rounds to the same integer. So
 * training begins with what the method that rounded it had found, and knows which elements would rather be others.
 * @param origin the weight before it was rounded, in the same shape
 */
export function towards(origin: Tensor, weight: Tensor, grid: Grid): Tensor {
  const scales = grid.scale.toFloat32();
  const zeros = grid.zeroPoint?.toNumbers();
  const [from, values] = [origin.toFloat32(), weight.toFloat32()];
  const { index } = scaleIndices(weight.shape, grid);
  const moved = values.map((value, at) => {
    const scale = scales[index[at]!]!;
    const zero = zeros?.[index[at]!] ?? 0;
    // Outside of the grid nothing would be learnt.
    const least = Math.max(value - NEAR * scale, (grid.low - zero) * scale);
    const most = Math.min(value + NEAR * scale, (grid.high - zero) * scale);
    return Math.min(Math.max(from[at]!, least), most);
  });
  return Tensor.of('float', weight.shape, moved, { name: weight.name });
}
