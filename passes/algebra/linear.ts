/**
 * Conv, ConvTranspose, Gemm and MatMul with constant weights, seen alike: y[out] = Σ w[in, out]·x[in] + b[out]. What
 * scales and shifts x or y channel by channel can be moved into w and b.
 */
import {
  constantOf,
  isReal,
  type Node,
  type PlannedValue,
  QuantcError,
  type RealDType,
  type ReplacementBuilder,
  realArray,
  realsOf,
  Tensor,
  type Value,
} from '../../src/index.js';
import { type ChannelAffine, type Coefficients, hasScale, hasShift } from './affine.js';

export const LINEAR = ['Conv', 'ConvTranspose', 'Gemm', 'MatMul'] as const;

export interface Linear {
  readonly node: Node;
  readonly weight: Tensor;
  readonly bias: Tensor | undefined;
  readonly inputs: number;
  readonly outputs: number;
  /** Rank of its result (and of its data input), where the weight tells it. */
  readonly rank: number;
  /** Axis of the channels in data input and result. */
  readonly axis: number;
  /** The weight as [a, b, taps], and which channels an (a, b) connects. */
  readonly a: number;
  readonly b: number;
  readonly taps: number;
  readonly outputOf: (a: number, b: number) => number;
  readonly inputOf: (a: number, b: number) => number;
  /** Factor of the bias (beta of Gemm). */
  readonly beta: number;
}

/** Reads a node as a linear operator with constant weights, or says why it is none. */
export function linearOf(node: Node): Linear | string {
  const weight = constantOf(node.inputs[1]);
  if (weight === undefined) return `the weights of ${node.label} are not constant`;
  if (!isReal(weight.dtype)) return `the weights of ${node.label} are ${weight.dtype}`;
  const bias = constantOf(node.inputs[2]);
  if (node.inputs[2] !== undefined && bias === undefined) return `the bias of ${node.label} is not constant`;
  if (bias !== undefined && bias.dtype !== weight.dtype) return `the bias of ${node.label} is ${bias.dtype}`;
  for (const attribute of node.attributes.values())
    if (attribute.kind === 'ref') return `${node.label} reads attributes of its function`;
  const common = { node, weight, bias, beta: 1 };
  switch (node.opType) {
    case 'Conv':
    case 'ConvTranspose':
      return convolution(node, common);
    case 'Gemm':
      return product(node, common, node.int('transB', 0) === 1);
    case 'MatMul':
      return product(node, common, false);
  }
  return `${node.opType} is not linear`;
}

type Common = Pick<Linear, 'node' | 'weight' | 'bias' | 'beta'>;

function convolution(node: Node, common: Common): Linear | string {
  const { shape } = common.weight;
  if (shape.length < 3) return `the weights of ${node.label} are [${shape}]`;
  const group = node.int('group', 1);
  const [a, b] = [shape[0]!, shape[1]!];
  const taps = shape.slice(2).reduce((product, dim) => product * dim, 1);
  const own = { ...common, rank: shape.length, axis: 1, a, b, taps };
  const each = a / group;
  if (node.opType === 'Conv')
    return {
      ...own,
      inputs: b * group,
      outputs: a,
      outputOf: (m) => m,
      inputOf: (m, c) => Math.floor(m / each) * b + c,
    };
  return {
    ...own,
    inputs: a,
    outputs: b * group,
    outputOf: (c, m) => Math.floor(c / each) * b + m,
    inputOf: (c) => c,
  };
}

function product(node: Node, common: Common, transposed: boolean): Linear | string {
  const { shape } = common.weight;
  if (shape.length !== 2) return `the weights of ${node.label} are [${shape}]`;
  if (node.int('transA', 0) === 1) return `${node.label} transposes its input`;
  const rank = node.opType === 'Gemm' ? 2 : node.inputs[0]?.shape?.length;
  if (rank === undefined || rank < 2)
    return `the rank of ${node.inputs[0]?.name} is not known to be 2 or more`;
  const [a, b] = [shape[0]!, shape[1]!];
  const outputs = transposed ? a : b;
  const { bias } = common;
  if (bias !== undefined && bias.count !== 1 && (bias.count !== outputs || bias.shape.at(-1) !== outputs))
    return `the bias of ${node.label} is [${bias.shape}]`;
  return {
    ...common,
    inputs: transposed ? b : a,
    outputs,
    rank,
    axis: rank - 1,
    a,
    b,
    taps: 1,
    outputOf: transposed ? (n) => n : (_, n) => n,
    inputOf: transposed ? (_, k) => k : (k) => k,
    beta: node.opType === 'Gemm' ? node.float('beta', 1) : 1,
  };
}

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

/** A node that `check` has accepted as linear. */
export function asLinear(node: Node): Linear {
  const form = linearOf(node);
  if (typeof form === 'string')
    throw new QuantcError('F_PASS_LINEAR', form, { kind: 'fault', place: { node: node.label } });
  return form;
}

/** `true` when every result sees all of its inputs, so that a shift of the input is the same number everywhere. */
export function seesNoPadding({ node }: Linear): true | string {
  if (node.opType === 'Gemm' || node.opType === 'MatMul') return true;
  if (node.opType === 'ConvTranspose') return `edges of ${node.label} add up fewer inputs than its middle`;
  const mode = node.string('auto_pad', 'NOTSET');
  const padded = mode.startsWith('SAME') || node.ints('pads', []).some((each) => each !== 0);
  return !padded || `${node.label} pads with zeros, which a shift would have to pass`;
}

/** Weights up to this many bytes may be stored twice where that saves a node. */
const SMALL = 65_536;

/** `true` unless scaled weights would have to be stored beside the old ones, which others still read. */
export function ownsWeights({ node, weight }: Linear, affine: ChannelAffine): true | string {
  const readers = node.inputs[1]!.uses.length;
  if (readers === 1 || weight.byteLength <= SMALL || !hasScale(affine)) return true;
  return `its weights are also read by ${readers - 1} others, and would be stored twice`;
}
