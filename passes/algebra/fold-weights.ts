/** New weights and biases of linear operators that take scales and shifts in: summed in double, rounded once. */
import {
  type PlannedValue,
  type RealDType,
  type ReplacementBuilder,
  realArray,
  realsOf,
  scaledAlong,
  Tensor,
  type Value,
} from '../../src/index.js';
import { type ChannelAffine, type Coefficients, hasScale, hasShift } from './affine.js';
import type { Linear } from './linear.js';

/** What a linear operator becomes. */
export interface Folded {
  readonly weight: Tensor;
  /** As long as there are output channels; absent where there is nothing to add. */
  readonly bias: Tensor | undefined;
}

/** scale·(Wx + b) + shift = (scale·W)x + (scale·b + shift), channel by channel of the result. */
export function foldAfter(linear: Linear, affine: ChannelAffine): Folded {
  return {
    weight: scaledWeight(linear, affine, linear.outputOf),
    bias: foldedBias(linear, affine, [], (old, { scale, shift }) =>
      old.map((each, i) => each * scale[i]! + shift[i]!),
    ),
  };
}

/** W(scale·x + shift) + b = (W·scale)x + (W·shift + b), channel by channel of the input; nothing may be padded in. */
export function foldBefore(linear: Linear, affine: ChannelAffine): Folded {
  const { node, weight, a, b, taps, outputOf, inputOf } = linear;
  const alpha = node.opType === 'Gemm' ? node.float('alpha', 1) : 1;
  return {
    weight: scaledWeight(linear, affine, inputOf),
    bias: foldedBias(linear, affine, [weight], (old, { shift }, [original]) => {
      const w = realsOf(original!);
      const sums = old.slice();
      for (let i = 0, at = 0; i < a; i++)
        for (let j = 0; j < b; j++) {
          let sum = 0;
          for (let k = 0; k < taps; k++) sum += w[at++]!;
          sums[outputOf(i, j)]! += alpha * sum * shift[inputOf(i, j)]!;
        }
      return sums;
    }),
  };
}

function scaledWeight(
  linear: Linear,
  affine: ChannelAffine,
  channelOf: (a: number, b: number) => number,
): Tensor {
  const { weight, a, b, taps } = linear;
  if (!hasScale(affine)) return weight;
  const along = axisOf(linear, channelOf);
  if (along !== undefined) {
    const factors = Tensor.derive(
      'double',
      [affine.channels],
      affine.from,
      (from) => affine.evaluate(from).scale,
    );
    return scaledAlong(weight, factors, along);
  }
  const dtype = weight.dtype as RealDType;
  const compute = ([w, ...from]: readonly Tensor[]): ArrayBufferView => {
    const { scale } = affine.evaluate(from);
    const before = realsOf(w!);
    const after = realArray(dtype, before.length);
    for (let i = 0, at = 0; i < a; i++)
      for (let j = 0; j < b; j++) {
        const factor = scale[channelOf(i, j)]!;
        for (let k = 0; k < taps; k++, at++) after[at] = before[at]! * factor;
      }
    return after;
  };
  return Tensor.derive(dtype, weight.shape, [weight, ...affine.from], compute, { name: weight.name });
}

/** The axis of the weight whose indices are the channels; undefined where groups make it none. */
function axisOf({ a, b }: Linear, channelOf: (a: number, b: number) => number): 0 | 1 | undefined {
  const every = (count: number, test: (index: number) => boolean) =>
    Array.from({ length: count }, (_, index) => index).every(test);
  if (every(a, (i) => channelOf(i, 0) === i && channelOf(i, b - 1) === i)) return 0;
  if (every(b, (j) => channelOf(0, j) === j && channelOf(a - 1, j) === j)) return 1;
  return undefined;
}

type BiasChange = (old: Float64Array, change: Coefficients, extra: readonly Tensor[]) => Float64Array;

function foldedBias(
  linear: Linear,
  affine: ChannelAffine,
  extra: readonly Tensor[],
  change: BiasChange,
): Tensor | undefined {
  const { weight, bias, outputs, beta } = linear;
  if (bias === undefined && !hasShift(affine)) return undefined;
  const dtype = weight.dtype as RealDType;
  const parts = bias === undefined ? [] : [bias];
  const compute = (from: readonly Tensor[]): ArrayBufferView => {
    const before = bias === undefined ? [0] : realsOf(from[0]!);
    const old = Float64Array.from({ length: outputs }, (_, i) => beta * before[before.length === 1 ? 0 : i]!);
    const start = parts.length + extra.length;
    const sums = change(old, affine.evaluate(from.slice(start)), from.slice(parts.length, start));
    const after = realArray(dtype, outputs);
    for (let i = 0; i < outputs; i++) after[i] = sums[i]!;
    return after;
  };
  return Tensor.derive(dtype, [outputs], [...parts, ...extra, ...affine.from], compute, {
    name: bias?.name || `${weight.name}_bias`,
  });
}

/** The operator over `x` with folded weights; MatMul, which has no bias, is followed by an Add. */
export function rebuilt(
  op: ReplacementBuilder,
  { node }: Linear,
  x: Value,
  { weight, bias }: Folded,
): PlannedValue {
  const same = op.like(node);
  if (node.opType === 'MatMul') {
    const product = same.MatMul(x, weight);
    return bias === undefined ? product : op.Add(product, bias);
  }
  if (node.opType === 'Gemm') return same.Gemm(x, weight, bias, { beta: undefined });
  return node.opType === 'Conv' ? same.Conv(x, weight, bias) : same.ConvTranspose(x, weight, bias);
}
