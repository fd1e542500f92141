/**
 * Conv, ConvTranspose, Gemm and MatMul with constant weights, seen alike: y[out] = Σ w[in, out]·x[in] + b[out]. What
 * scales and shifts x or y channel by channel can be moved into w and b (see `fold-weights.ts`).
 */
import { constantOf, isReal, type Node, QuantcError, type Tensor } from '../../src/index.js';
import { type ChannelAffine, hasScale } from './affine.js';

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

/** Weights derived so many times over are left alone: each derivation is a call inside the next one's. */
const DEEPEST = 64;

function depthOf(weight: Tensor): number {
  let depth = 0;
  for (let each: Tensor | undefined = weight; each?.source.kind === 'derived'; each = each.source.from[0])
    depth++;
  return depth;
}

/** Reads a node as a linear operator with constant weights, or says why it is none. */
export function linearOf(node: Node): Linear | string {
  const weight = constantOf(node.inputs[1]);
  if (weight === undefined) return `the weights of ${node.label} are not constant`;
  if (!isReal(weight.dtype)) return `the weights of ${node.label} are ${weight.dtype}`;
  if (depthOf(weight) >= DEEPEST) return `the weights of ${node.label} are derived ${DEEPEST} times over`;
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
