/** Optimizers as graphs: from gradients and state to new values and new state. */
import { dtypeOf, type Emitter } from '../autodiff/emit.js';
import type { Value } from '../ir/graph.js';
import { tensorType } from '../ir/type.js';

/** How values are moved against their gradients. */
export type Optimizer =
  | {
      /** Loshchilov and Hutter 2019: Adam with the decay of weights apart from the gradient. */
      readonly kind: 'adamw';
      /** Default 0.9 and 0.999. */
      readonly beta1?: number;
      readonly beta2?: number;
      /** Default 1e-8. */
      readonly epsilon?: number;
      /** Default 0. */
      readonly weightDecay?: number;
    }
  | {
      /** b ← μ·b + g; w ← w − rate·b. */
      readonly kind: 'sgd';
      /** μ; default 0.9. */
      readonly momentum?: number;
      readonly weightDecay?: number;
    };

/** How fast one value learns beside the others. */
export interface Pace {
  /** Times the rate of the step; default 1. */
  readonly rate?: number;
  /** The step is a share of the value itself, which so keeps its sign: for scales. Such values do not decay. */
  readonly relative?: boolean;
}

/** Scalars that all updates of a step share. */
export interface StepScalars {
  /** The learning rate: a float of no dimensions. */
  readonly rate: Value;
  /** How many steps there were with this one, from 1: a float of no dimensions. */
  readonly step: Value;
  /** What gradients are multiplied by (clipping); absent for 1. */
  readonly factor?: Value;
}

/** How many values of its shape an optimizer keeps with each value it moves. */
export const stateNames = (optimizer: Optimizer): readonly string[] =>
  optimizer.kind === 'adamw' ? ['mean', 'square'] : ['momentum'];

const scalarType = (like: Value) => tensorType(dtypeOf(like), []);

/**
 * √Σ‖g‖² over all gradients, and min(1, largest/norm).
 * @param largest the norm that is not to be exceeded; without it there is no factor
 */
export function clippedNorm(
  emit: Emitter,
  gradients: readonly Value[],
  largest?: number,
): { norm: Value; factor?: Value } {
  emit.prefix = 'clip/';
  const squares = gradients.map((each) =>
    emit.op('ReduceSumSquare', [each], { keepdims: 0 }, scalarType(each)),
  );
  const norm = emit.op('Sqrt', [emit.total(squares)]);
  if (largest === undefined) return { norm };
  const bound = emit.scalar(largest, norm);
  return { norm, factor: emit.op('Div', [bound, emit.op('Max', [norm, bound])]) };
}

/** One updater a step: what the scalars give is computed once for all values. */
export function updater(
  emit: Emitter,
  optimizer: Optimizer,
  scalars: StepScalars,
): (value: Value, gradient: Value, state: readonly Value[], pace: Pace) => { value: Value; state: Value[] } {
  return optimizer.kind === 'adamw' ? adamw(emit, optimizer, scalars) : sgd(emit, optimizer, scalars);
}

function adamw(emit: Emitter, optimizer: Extract<Optimizer, { kind: 'adamw' }>, scalars: StepScalars) {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 } = optimizer;
  const { rate, step, factor } = scalars;
  emit.prefix = 'adamw/';
  const number = (value: number) => emit.scalar(value, rate);
  const mul = (a: Value, b: Value) => emit.op('Mul', [a, b]);
  // 1 − β^t loses half of float32's digits at first: in double.
  const counted = emit.cast(step, 'double');
  const correction = (beta: number) => {
    const power = emit.op('Pow', [emit.scalar(beta, 'double'), counted]);
    return emit.op('Sub', [emit.scalar(1, 'double'), power]);
  };
  const rootSquare = emit.op('Sqrt', [correction(beta2)]);
  const scale = emit.cast(emit.op('Div', [rootSquare, correction(beta1)]), rate);
  const floor = mul(emit.cast(rootSquare, rate), number(epsilon));
  const fresh = factor ? mul(factor, number(1 - beta1)) : number(1 - beta1);
  const freshSquare = factor ? mul(mul(factor, factor), number(1 - beta2)) : number(1 - beta2);
  const paced = rates(emit, rate);
  return (value: Value, gradient: Value, state: readonly Value[], pace: Pace) => {
    const [mean, square] = state as [Value, Value];
    const newMean = emit.op('Add', [mul(mean, number(beta1)), mul(gradient, fresh)]);
    const newSquare = emit.op('Add', [
      mul(square, number(beta2)),
      mul(emit.op('Mul', [gradient, gradient]), freshSquare),
    ]);
    // m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + ε) with the corrections taken out of the elements.
    const direction = emit.op('Div', [newMean, emit.op('Add', [emit.op('Sqrt', [newSquare]), floor])]);
    const own = mul(paced(pace), scale);
    return {
      value: moved(emit, value, direction, own, paced(pace), pace, weightDecay),
      state: [newMean, newSquare],
    };
  };
}

function sgd(emit: Emitter, optimizer: Extract<Optimizer, { kind: 'sgd' }>, scalars: StepScalars) {
  const { momentum = 0.9, weightDecay = 0 } = optimizer;
  const { rate, factor } = scalars;
  emit.prefix = 'sgd/';
  const paced = rates(emit, rate);
  return (value: Value, gradient: Value, state: readonly Value[], pace: Pace) => {
    const kept = emit.op('Mul', [state[0], emit.scalar(momentum, value)]);
    const direction = emit.op('Add', [kept, factor ? emit.op('Mul', [gradient, factor]) : gradient]);
    const own = paced(pace);
    return { value: moved(emit, value, direction, own, own, pace, weightDecay), state: [direction] };
  };
}

/** The rate times what a pace multiplies it by, made once a factor. */
function rates(emit: Emitter, rate: Value): (pace: Pace) => Value {
  const made = new Map<number, Value>([[1, rate]]);
  return ({ rate: times = 1 }) => {
    let value = made.get(times);
    if (value === undefined) {
      value = emit.op('Mul', [rate, emit.scalar(times, rate)]);
      made.set(times, value);
    }
    return value;
  };
}

/** w·(1 − rate·decay) − step·direction; a relative value moves by a share of itself, and stays above zero. */
function moved(
  emit: Emitter,
  value: Value,
  direction: Value,
  step: Value,
  rate: Value,
  pace: Pace,
  decay: number,
): Value {
  const change = emit.op('Mul', [direction, step]);
  if (pace.relative) {
    const share = emit.op('Sub', [emit.scalar(1, value), change]);
    return emit.op(
      'Mul',
      [value, emit.op('Max', [share, emit.scalar(SMALLEST_SHARE, value)])],
      {},
      value.type,
    );
  }
  if (decay === 0) return emit.op('Sub', [value, change], {}, value.type);
  const keep = emit.op('Sub', [emit.scalar(1, value), emit.op('Mul', [rate, emit.scalar(decay, value)])]);
  return emit.op('Sub', [emit.op('Mul', [value, keep]), change], {}, value.type);
}

/** No step takes more than half of a relative value. */
const SMALLEST_SHARE = 0.5;
