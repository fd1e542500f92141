/**
 * Fake quantization: what a value will be once it is stored in few bits, as arithmetic that gradients flow through.
 * ŵ = s·Round(Clip(w/s, lo, hi)). With Round straight-through and the ordinary gradients of the rest, w learns where it is
 * inside of the grid, and s as LSQ (Esser et al. 2020) has it: ∂ŵ/∂s = Round(w/s) − w/s inside, lo or hi outside.
 */
import type { Emitter } from '../autodiff/emit.js';
import { QuantcError } from '../errors/error.js';
import type { Value } from '../ir/graph.js';
import { Tensor } from '../ir/tensor.js';
import { isStatic, tensorType } from '../ir/type.js';

/** The grid that a value is put on. */
export interface Grid {
  /** Smallest and largest integer, e.g. −8 and 7. */
  readonly low: number;
  readonly high: number;
  /**
   * The step from one integer to the next: of no dimensions for the whole tensor; [n] along `axis`; with `blockSize`
   * the tensor's shape with `axis` divided by it, rounded up.
   */
  readonly scale: Tensor;
  readonly axis?: number;
  /** Elements along `axis` that share a scale. The last block may be shorter. */
  readonly blockSize?: number;
  /** Odd integers alone: with −1 and 1 as ends, signs. Default false. */
  readonly odd?: boolean;
  /** Values learn up to so many steps beyond the ends, where gradients otherwise stop. Default 0. */
  readonly reach?: number;
  /** The integer that stands for 0, in the shape of `scale`; 0 everywhere where it is absent. It is not trained. */
  readonly zeroPoint?: Tensor;
}

/** Signed grid of so many bits, symmetric scales. @throws QuantcError E_TRAINING_GRID below 2 bits or above 16 */
export function signedGrid(bits: number): { low: number; high: number } {
  if (!Number.isInteger(bits) || bits < 2 || bits > 16) {
    throw new QuantcError('E_TRAINING_GRID', `there is no grid of ${bits} bits`, { kind: 'usage' });
  }
  return { low: -(2 ** (bits - 1)), high: 2 ** (bits - 1) - 1 };
}

/** Bits of weights that are trained: 1 is a sign, 1.58 (log₂ 3) a sign or 0. */
export const BINARY = 1;
export const TERNARY = 1.58;

/**
 * The integers of a weight: signs of 1 bit; −1, 0 and 1 of 1.58 bits, which learn as far as 0.99 of the largest value
 * that their scale was taken from, 1.5 steps (SEQ of ParetoQ, Liu et al. 2025); else {@link signedGrid}, and its errors.
 */
export function weightGrid(bits: number): Pick<Grid, 'low' | 'high' | 'odd' | 'reach'> {
  if (bits === BINARY) return { low: -1, high: 1, odd: true };
  if (bits === TERNARY) return { low: -1, high: 1, reach: 0.485 };
  return signedGrid(bits);
}

/**
 * Appends the fake quantization of a value and answers with what it will be.
 * @param scale the value of `grid.scale`: an input where it is trained, else a constant
 * @throws QuantcError E_TRAINING_GRID where grid and value do not fit together
 */
export function fakeQuantized(emit: Emitter, value: Value, scale: Value, grid: Grid): Value {
  emit.prefix = `fake/${value.name}/`;
  const { blocks, whole, spread } = laidOut(emit, value, grid);
  const step = emit.reshape(scale, spread);
  const ratio = emit.op('Div', [blocks, step]);
  const bounded = bound(emit, ratio, grid, spread);
  return whole(emit.op('Mul', [rounded(emit, bounded, grid), step]));
}

/** The nearest integer, or for odd ones 2·Round((x − 1)/2) + 1: 0 goes up. */
function rounded(emit: Emitter, bounded: Value, { odd, low, high, reach = 0 }: Grid): Value {
  if (odd) {
    const [one, two] = [1, 2].map((each) => emit.scalar(each, bounded)) as [Value, Value];
    const half = emit.op('Div', [emit.op('Sub', [bounded, one]), two]);
    return emit.op('Add', [emit.op('Mul', [emit.op('Round', [half]), two]), one]);
  }
  const nearest = emit.op('Round', [bounded]);
  // Less than half a step beyond the ends rounds to them.
  if (reach < 0.5) return nearest;
  const [first, last] = [low, high].map((each) => emit.scalar(each, bounded)) as [Value, Value];
  return emit.op('Clip', [nearest, first, last], {}, bounded.type);
}

function bound(emit: Emitter, ratio: Value, grid: Grid, spread: readonly number[]): Value {
  const zeros = grid.zeroPoint?.toNumbers() ?? [0];
  const first = zeros[0]!;
  if (zeros.every((zero) => zero === first)) {
    const { reach = 0 } = grid;
    const ends = [grid.low - first - reach, grid.high - first + reach];
    const [low, high] = ends.map((each) => emit.scalar(each, ratio));
    return emit.op('Clip', [ratio, low, high], {}, ratio.type);
  }
  const [low, high] = [grid.low, grid.high].map((end) =>
    emit.cast(
      emit.constant(
        Tensor.floats(
          zeros.map((zero) => end - zero),
          spread,
        ),
        'bound',
      ),
      ratio,
    ),
  );
  return emit.op('Min', [emit.op('Max', [ratio, low]), high]);
}

/** The value as its scales broadcast against it, and the way back to its own shape. */
function laidOut(emit: Emitter, value: Value, grid: Grid) {
  const { axis, blockSize, scale } = grid;
  const same = (each: Value) => each;
  if (axis === undefined) {
    if (scale.count !== 1) throw misfit(value, 'one scale is for the whole tensor');
    return { blocks: value, whole: same, spread: [] as number[] };
  }
  const { shape } = value;
  const rank = shape?.length ?? 0;
  const at = axis < 0 ? axis + rank : axis;
  if (shape === undefined || at < 0 || at >= rank) throw misfit(value, `it has no axis ${axis}`);
  if (blockSize === undefined) {
    if (scale.count !== shape[at])
      throw misfit(value, `axis ${axis} has ${shape[at]} channels, not ${scale.count}`);
    return { blocks: value, whole: same, spread: shape.map((_, each) => (each === at ? scale.count : 1)) };
  }
  if (!isStatic(shape)) throw misfit(value, 'blocks need fixed sizes');
  const size = shape[at]!;
  const count = Math.ceil(size / blockSize);
  const before = shape.slice(0, at);
  const after = shape.slice(at + 1);
  const wanted = [...before, count, ...after];
  if (scale.shape.join() !== wanted.join())
    throw misfit(value, `its blocks need scales [${wanted}], not [${scale.shape}]`);
  const short = count * blockSize - size;
  const ends = new Array<number>(2 * rank).fill(0);
  ends[rank + at] = short;
  const padded = tensorType(value.dtype!, [...before, count * blockSize, ...after]);
  const full =
    short === 0 ? value : emit.op('Pad', [value, emit.ints(ends), emit.scalar(0, value)], {}, padded);
  const whole = (each: Value): Value => {
    const joined = emit.reshape(each, [...before, count * blockSize, ...after]);
    if (short === 0) return joined;
    const range = [[0], [size], [at]].map((numbers) => emit.ints(numbers));
    return emit.op('Slice', [joined, ...range], {}, value.type);
  };
  return {
    blocks: emit.reshape(full, [...before, count, blockSize, ...after]),
    whole,
    spread: [...before, count, 1, ...after],
  };
}

const misfit = (value: Value, why: string): QuantcError =>
  new QuantcError('E_TRAINING_GRID', `${value.name} does not fit its grid: ${why}`, {
    place: { value: value.name },
  });
