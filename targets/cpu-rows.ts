/**
 * The integer kernels of ONNX Runtime's CPU executor, as its Q/DQ selectors take them (ONNX Runtime 1.30,
 * `qdq_selector_action_transformer.cc`); what differs between processors is in the targets that use this table.
 */
import {
  allOf,
  attributeIs,
  constantIfPresent,
  constantInput,
  floatInput,
  type Node,
  noActivationBehind,
  noLogBehind,
  rankIs,
  singleOutput,
  soleReader,
  startsAtZero,
  type TargetRow,
} from '../src/index.js';

/** `same` rows: the bytes are moved, so that input and output share scale and zero point. */
const moved = (op: string, when: TargetRow['when'] = floatInput): TargetRow => ({
  op,
  kernel: op,
  inputs: ['activation', 'as-is'],
  output: 'same',
  kind: 'follow',
  cost: { float: 0.05, integer: 0.015 },
  when,
});

/** `follow` rows with output parameters of their own. */
const elementwise = (op: string, kernel: string, rest: Partial<TargetRow> = {}): TargetRow => ({
  op,
  domain: '',
  kernel,
  inputs: ['activation'],
  output: 'own',
  kind: 'follow',
  when: floatInput,
  ...rest,
});

const nearest = (node: Node): true | string => {
  const mode = node.string('mode', 'nearest');
  if (mode !== 'nearest') return `mode is ${mode}, not nearest`;
  return node.string('coordinate_transformation_mode', '') !== 'tf_crop_and_resize' || 'tf_crop_and_resize';
};

/** The kernel is taken only where every part is quantized again. */
const everyOutputRead = (node: Node): true | string =>
  node.outputs.every((output) => output.uses.length > 0) || 'one of its parts is read by nobody';

const transposedOnce = (node: Node): true | string => node.int('transA', 0) === 0 || 'transA is set';

/** The integer kernel knows no dilations, and counts padding otherwise where windows hang over the edge. */
const averagedOtherwise = (node: Node): string | undefined => {
  if (node.ints('dilations', []).some((step) => step !== 1)) return 'its integer kernel knows no dilations';
  const overhanging = node.int('ceil_mode', 0) === 1 && node.int('count_include_pad', 0) === 1;
  return overhanging ? 'its integer kernel is wrong for ceil_mode with count_include_pad' : undefined;
};

const gemmForm = allOf(
  floatInput,
  noLogBehind,
  constantInput(1),
  constantIfPresent(2),
  rankIs(1, 2),
  transposedOnce,
  attributeIs('alpha', 1, 1),
  (node) => node.inputs[2] === undefined || attributeIs('beta', 1, 1)(node),
  (node) => {
    const shape = node.inputs[2]?.constant?.shape;
    const columns = node.inputs[1]!.constant!.shape[node.int('transB', 0) === 1 ? 0 : 1];
    const row = shape?.every((dim, axis) => dim === (axis === shape.length - 1 ? columns : 1)) ?? true;
    return row && (shape?.length !== 0 || columns === 1) ? true : `C is [${shape}], not a row of ${columns}`;
  },
);
const gemm: TargetRow = {
  op: 'Gemm',
  kernel: 'QGemm',
  inputs: ['activation', 'weight', 'bias'],
  output: 'float',
  kind: 'compute',
  weightAxis: (node) => (node.int('transB', 0) === 1 ? 0 : 1),
};

const matmulForm = allOf(floatInput, noLogBehind, constantInput(1), rankIs(1, 2));
const matmul: Omit<TargetRow, 'kernel' | 'output'> = {
  op: 'MatMul',
  inputs: ['activation', 'weight'],
  kind: 'compute',
  weightAxis: () => 1,
};

/** The activation function behind vanishes into a QuantizeLinear, so that the output leaves quantized. */
const activationBehind = (node: Node): true | string => {
  const reader = soleReader(node);
  return (reader !== undefined && startsAtZero(reader)) || 'no activation from 0 on alone reads its output';
};

export const cpuRows: readonly TargetRow[] = [
  {
    op: 'Conv',
    kernel: 'QLinearConv',
    inputs: ['activation', 'weight', 'bias'],
    output: 'own',
    kind: 'compute',
    weightAxis: () => 0,
    when: allOf(floatInput, noLogBehind, constantInput(1), constantIfPresent(2)),
  },
  { ...gemm, when: allOf(gemmForm, noActivationBehind) },
  { ...gemm, output: 'own', when: allOf(gemmForm, activationBehind) },
  { ...matmul, kernel: 'MatMulIntegerToFloat', output: 'float', when: allOf(matmulForm, noActivationBehind) },
  { ...matmul, kernel: 'QLinearMatMul', output: 'own', when: allOf(matmulForm, activationBehind) },
  elementwise('Add', 'QLinearAdd'),
  elementwise('Mul', 'QLinearMul'),
  elementwise('Sigmoid', 'QLinearSigmoid', {
    output: { min: 0, max: 1 },
    cost: { float: 0.255, integer: 0.268 },
  }),
  // As slow as in float, but nothing is dequantized for it.
  elementwise('Softmax', 'QLinearSoftmax', { output: { min: 0, max: 1 }, cost: { float: 3, integer: 3.2 } }),
  elementwise('LeakyRelu', 'QLinearLeakyRelu'),
  elementwise('GlobalAveragePool', 'QLinearGlobalAveragePool'),
  elementwise('AveragePool', 'QLinearAveragePool', {
    cost: { float: 0.35, integer: 9.3 },
    spoils: averagedOtherwise,
  }),
  elementwise('Concat', 'QLinearConcat'),
  elementwise('Where', 'QLinearWhere', {
    inputs: ['as-is', 'activation', 'activation'],
    when: (node) => node.inputs[1]?.dtype === 'float' || 'the data is not float',
  }),
  // The 8-bit MaxPool kernel is scalar: 11 ns an element against 0.3 in float.
  { ...moved('MaxPool', allOf(floatInput, singleOutput)), cost: { float: 0.29, integer: 11 } },
  // Extremes of integers are integers on the same grid; a third faster than in float.
  { ...moved('ReduceMax'), cost: { float: 0.2, integer: 0.13 } },
  { ...moved('ReduceMin'), cost: { float: 0.2, integer: 0.13 } },
  { ...moved('Split', allOf(floatInput, everyOutputRead)), parts: true },
  moved('Reshape'),
  moved('Flatten'),
  moved('Squeeze'),
  moved('Unsqueeze'),
  moved('Transpose'),
  moved('Expand'),
  moved('Tile'),
  moved('Slice'),
  moved('Gather'),
  moved('GatherElements'),
  moved('DepthToSpace'),
  moved('Resize', allOf(floatInput, nearest)),
];

/**
 * Below this many weights (of 4 bytes) the integer recurrence was measured no faster than the float one: 0.99 of it at
 * 64 units, 0.7 at 128, 0.3 at 256, on one thread with VNNI.
 */
const LEAST_RECURRENT = 65_536;

/** As for attention: as fast as float with 12,288 weights, 0.7 of it with 49,152, 0.4 with 1.8 million. */
const LEAST_ATTENTION = 32_768;

/** What Attention can do and QAttention cannot. */
function plainAttention(node: Node): true | string {
  const known = ['num_heads', 'unidirectional'];
  const more = [...node.attributes.keys()].find((name) => !known.includes(name));
  if (more !== undefined) return `it knows no ${more}`;
  if (node.inputs[2] === undefined) return 'its bias is not optional';
  return node.inputs.slice(5).every((input) => input === undefined) || 'it adds no attention bias';
}

/** Kernels that quantize their activations while they run; weights are int8 in the file. */
export const cpuDynamicRows: readonly TargetRow[] = [
  {
    op: 'MatMul',
    kernel: 'DynamicQuantizeMatMul',
    inputs: ['activation', 'weight'],
    output: 'float',
    kind: 'compute',
    weightAxis: () => 1,
    when: matmulForm,
  },
  {
    op: 'Gemm',
    kernel: 'DynamicQuantizeMatMul',
    inputs: ['activation', 'weight', 'as-is'],
    output: 'float',
    kind: 'compute',
    weightAxis: (node) => (node.int('transB', 0) === 1 ? 0 : 1),
    when: allOf(
      floatInput,
      noLogBehind,
      constantInput(1),
      rankIs(1, 2),
      transposedOnce,
      attributeIs('alpha', 1, 1),
      attributeIs('beta', 1, 1),
    ),
  },
  {
    op: 'LSTM',
    kernel: 'DynamicQuantizeLSTM',
    inputs: ['activation', 'weight', 'weight', 'as-is'],
    output: 'float',
    kind: 'compute',
    when: allOf(floatInput, constantInput(1), constantInput(2), attributeIs('layout', 0, 0), (node) => {
      const weights = node.inputs[1]!.constant!.count + node.inputs[2]!.constant!.count;
      return weights >= LEAST_RECURRENT || `float is as fast with ${weights} weights`;
    }),
  },
  {
    op: 'Attention',
    domain: 'com.microsoft',
    kernel: 'QAttention',
    inputs: ['activation', 'weight', 'as-is'],
    output: 'float',
    kind: 'compute',
    when: allOf(floatInput, constantInput(1), rankIs(1, 2), plainAttention, (node) => {
      const weights = node.inputs[1]!.constant!.count;
      return weights >= LEAST_ATTENTION || `float is as fast with ${weights} weights`;
    }),
  },
];
