/** What operators make of 16-bit floats (ai.onnx 21, and those of com.microsoft that transformers use). */
import type { Node } from '../../src/index.js';

/** Operators whose results may leave float16's range, or whose sums lose too much there, with the reason. */
const PROTECTED: Readonly<Record<string, string>> = {
  Pow: 'powers leave the range',
  Exp: 'exponentials leave the range',
  Reciprocal: 'reciprocals leave the range',
  Sqrt: 'it is a part of a norm’s statistics',
  ReduceMean: 'it sums up many numbers',
  ReduceSum: 'it sums up many numbers',
  ReduceSumSquare: 'it sums up squares',
  ReduceL2: 'it sums up squares',
  ReduceLogSumExp: 'exponentials leave the range',
  LogSoftmax: 'exponentials leave the range',
  Softmax: 'it adds up exponentials',
  Softplus: 'exponentials leave the range',
  CumSum: 'it sums up many numbers',
  Log: 'small numbers count',
  Sin: 'its angles may be large',
  Cos: 'its angles may be large',
};

/** Recurrent operators: kernels compute in float alone, and a session that is given others on the CPU may crash. */
const RECURRENT = ['GRU', 'LSTM', 'RNN'];
export const isRecurrent = (node: Node): boolean => RECURRENT.some((opType) => node.is(opType));

/** Operators that ONNX, or every executor, has in float alone. */
const FLOAT_ONLY = new Set([
  ...RECURRENT,
  ...[
    'Range',
    'NonMaxSuppression',
    'RoiAlign',
    'DynamicQuantizeLinear',
    'QuantizeLinear',
    'DequantizeLinear',
  ],
  ...['DynamicQuantizeMatMul', 'MatMulIntegerToFloat', 'DynamicQuantizeLSTM', 'Multinomial', 'Bernoulli'],
  ...[
    'MelWeightMatrix',
    'STFT',
    'DFT',
    'HannWindow',
    'HammingWindow',
    'BlackmanWindow',
    'Det',
    'ImageDecoder',
  ],
  ...['RandomNormal', 'RandomNormalLike', 'RandomUniform', 'RandomUniformLike', 'EyeLike', 'Upsample'],
]);

/** Operators of com.microsoft that take float16 wherever they take float. */
const MICROSOFT = new Set([
  ...['MatMulNBits', 'GatherBlockQuantized', 'GroupQueryAttention', 'MultiHeadAttention', 'Attention'],
  ...['SkipLayerNormalization', 'SkipSimplifiedLayerNormalization', 'SimplifiedLayerNormalization'],
  ...[
    'RotaryEmbedding',
    'BiasGelu',
    'FastGelu',
    'QuickGelu',
    'Gelu',
    'FusedMatMul',
    'BiasSplitGelu',
    'BiasAdd',
  ],
]);

/** Inputs that stay float whatever the others are, and outputs alike. */
const FLOAT_INPUTS: Readonly<Record<string, readonly number[]>> = { Resize: [1, 2] };
const FLOAT_OUTPUTS: Readonly<Record<string, readonly number[]>> = {
  LayerNormalization: [1, 2],
  SkipLayerNormalization: [1, 2],
  SkipSimplifiedLayerNormalization: [1, 2],
};

export const staysFloatInput = ({ opType }: Node, index: number): boolean =>
  FLOAT_INPUTS[opType]?.includes(index) ?? false;
export const staysFloatOutput = ({ opType }: Node, index: number): boolean =>
  FLOAT_OUTPUTS[opType]?.includes(index) ?? false;

/** Why an operator computes in float whatever it reads, or nothing. */
export function floatReason(node: Node): string | undefined {
  if (node.subgraphs.length > 0) return 'what goes into its graphs and comes out of them keeps its type';
  if (node.domain === 'com.microsoft' && !FLOAT_ONLY.has(node.opType)) {
    return MICROSOFT.has(node.opType) ? undefined : `whether ${node.opType} takes 16 bits is not known`;
  }
  if (node.domain !== '' && node.domain !== 'com.microsoft') return `nothing is known of ${node.domain}`;
  if (FLOAT_ONLY.has(node.opType)) return `${node.opType} is there in float alone`;
  const reason = PROTECTED[node.opType];
  return reason && `protected: ${reason}`;
}

/** Operators whose result is about as large as what they read: numbers too large for 16 bits go on through them. */
const CARRIES = new Set([
  ...[
    'Add',
    'Sub',
    'Mul',
    'Div',
    'Neg',
    'Abs',
    'Min',
    'Max',
    'Where',
    'Clip',
    'Identity',
    'Cast',
    'Sum',
    'Mean',
  ],
  ...[
    'Reshape',
    'Flatten',
    'Squeeze',
    'Unsqueeze',
    'Transpose',
    'Expand',
    'Tile',
    'Slice',
    'Split',
    'Concat',
  ],
  ...[
    'Gather',
    'GatherElements',
    'GatherND',
    'Pad',
    'ReduceMax',
    'ReduceMin',
    'Floor',
    'Ceil',
    'Round',
    'Mod',
  ],
]);
export const carries = ({ opType, domain }: Node): boolean => domain === '' && CARRIES.has(opType);
