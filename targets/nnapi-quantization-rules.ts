/** NNAPI: what it computes in integers, and how those must be quantized. */
import type { Node, NodeUnit, ProviderRule, Value } from '../src/index.js';
import {
  type Check,
  every,
  inputIs,
  isFixed,
  isQuantized,
  numbersAt,
  type rulesOf,
  seenAt,
  seenFrom,
  sizesOf,
} from './provider-conditions.js';

/** What it takes between DequantizeLinear and QuantizeLinear. */
export const NNAPI_UNITS: readonly string[] = [
  ...['Conv', 'Gemm', 'MatMul', 'Add', 'Mul', 'AveragePool'],
  ...['Concat', 'Reshape', 'Resize', 'Softmax', 'Transpose'],
];

/** What moves or compares integers themselves, without DequantizeLinear and QuantizeLinear around it. */
const ON_INTEGERS = new Set(['Transpose', 'Resize', 'Concat', 'MaxPool']);

const unitOrFloat: Check = (unit) =>
  !isQuantized(unit) ||
  NNAPI_UNITS.includes(unit.node.opType) ||
  `${unit.node.opType} stands between DequantizeLinear and QuantizeLinear`;

const WEIGHTED = new Set(['Conv', 'Gemm', 'MatMul']);

/** Q and DQ by themselves, and operators that bring their own types. */
const OTHER_TYPES = new Set([
  ...['QuantizeLinear', 'DequantizeLinear', 'Cast', 'QLinearConv', 'QLinearMatMul'],
  ...['QLinearAdd', 'QLinearMul', 'QLinearSigmoid', 'QLinearAveragePool'],
]);

const floatData: Check = (unit) => {
  const { node } = unit;
  if (isQuantized(unit) || OTHER_TYPES.has(node.opType)) return true;
  const dtype = node.inputs[0]?.dtype;
  if (dtype === 'float' || (dtype === 'uint8' && ON_INTEGERS.has(node.opType))) return true;
  return `its input is ${dtype ?? 'of unknown type'}`;
};

/** What a caller gives is not known to be quantized, nor how. */
const madeInside: Check = (unit) => {
  const { node } = unit;
  if (isQuantized(unit) || node.inputs[0]?.dtype !== 'uint8') return true;
  const read = node.is('Concat') ? node.inputs : node.inputs.slice(0, 1);
  const given = read.find((input) => input?.isInput);
  return given === undefined || `${given.name} is an input of the model`;
};

const uint8Activations: Check = (unit) => {
  const { node, dequantizes } = unit;
  if (!isQuantized(unit)) return true;
  const count = WEIGHTED.has(node.opType) ? 1 : dequantizes.length;
  for (let index = 0; index < count; index++) {
    if (dequantizes[index] === undefined) continue;
    const value = seenAt(unit, index);
    if (value?.dtype !== 'uint8') return `${value?.name} is ${value?.dtype}`;
  }
  const output = seenFrom(unit, 0);
  return output?.dtype === 'uint8' || `${output?.name} is ${output?.dtype}`;
};

const byteWeights: Check = (unit) => {
  if (!isQuantized(unit)) return true;
  const dtype = seenAt(unit, 1)?.dtype;
  return dtype === 'uint8' || dtype === 'int8' || `its weight is ${dtype}`;
};

const count = (value: Value | undefined): number =>
  (sizesOf(value) ?? [Number.NaN]).reduce((product, size) => product * size, 1);

/** Q and DQ of the unit but for the bias, whose scale follows from the others. */
const quantizers = ({ node, dequantizes, quantizes }: NodeUnit): Node[] => {
  const around = node.is('QuantizeLinear') || node.is('DequantizeLinear') ? [node] : [];
  const last = WEIGHTED.has(node.opType) ? 2 : dequantizes.length;
  return [...around, ...dequantizes.slice(0, last), ...quantizes].filter((each) => each !== undefined);
};

const constantScales: Check = (unit) => {
  for (const each of quantizers(unit))
    for (const parameter of each.inputs.slice(1, 3))
      if (parameter !== undefined && !isFixed(parameter)) return `${parameter.name} is computed`;
  return true;
};

const oneScale: Check = (unit) => {
  const weight = unit.node.is('Conv') && seenAt(unit, 1)?.dtype === 'int8' ? unit.dequantizes[1] : undefined;
  for (const each of quantizers(unit)) {
    const scales = count(each.inputs[1]);
    if (scales === 1 || each === weight) continue;
    return `${each.label} has ${scales} scales`;
  }
  if (weight === undefined) return true;
  const scales = count(weight.inputs[1]);
  const filters = sizesOf(weight.inputs[0])?.[0];
  return scales === 1 || scales === filters || `${scales} scales for ${filters} filters`;
};

const plainWeight: Check = (unit) => {
  const dequantize = unit.dequantizes[1];
  if (dequantize === undefined || seenAt(unit, 1)?.dtype !== 'int8') return true;
  const points = dequantize.inputs[2] === undefined ? [0] : numbersAt(dequantize, 2);
  return (points?.every((each) => each === 0) ?? false) || 'the zero points of its int8 weight are not 0';
};

const quantizedToBytes: Check = (unit) => {
  const dtype = unit.node.is('QuantizeLinear') ? seenFrom(unit, 0)?.dtype : unit.node.inputs[0]?.dtype;
  return dtype === 'uint8' || `it is ${dtype}`;
};

const sameParameters: Check = (unit) => {
  const [before] = unit.dequantizes;
  const [after] = unit.quantizes;
  if (before === undefined || after === undefined) return true;
  const numbers = (node: Node) => [numbersAt(node, 1)?.[0], numbersAt(node, 2)?.[0] ?? 0];
  return String(numbers(before)) === String(numbers(after)) || 'scale or zero point change';
};

const softmaxGrid: Check = (unit) => {
  const [after] = unit.quantizes;
  if (after === undefined || !isQuantized(unit)) return true;
  const [scale] = numbersAt(after, 1) ?? [];
  const [zero] = numbersAt(after, 2) ?? [0];
  return (scale === 1 / 256 && zero === 0) || `its output has scale ${scale} and zero point ${zero}`;
};

const SCALES = 'builders/op_builder_helpers.cc';
const PRODUCTS = 'Conv Gemm MatMul';

export const nnapiQuantizationRules = (rule: ReturnType<typeof rulesOf>): readonly ProviderRule[] => [
  rule(
    'quantized-units',
    `between DequantizeLinear and QuantizeLinear stand ${NNAPI_UNITS.join(', ')} alone`,
    'builders/helper.cc',
    unitOrFloat,
    { mend: 'compute-on-integers' },
  ),
  rule(
    'float-data',
    'what is not quantized is float32; uint8 is moved by some',
    'builders/impl/base_op_builder.cc',
    floatData,
  ),
  rule(
    'integers-made-inside',
    'uint8 that is moved as such comes from the graph, not from the caller',
    'builders/helper.cc',
    madeInside,
    {
      ops: [...ON_INTEGERS].join(' '),
    },
  ),
  rule('uint8-activations', 'activations are uint8', SCALES, uint8Activations),
  rule(
    'uint8-quantizers',
    'QuantizeLinear and DequantizeLinear by themselves are of uint8',
    SCALES,
    quantizedToBytes,
    {
      ops: 'QuantizeLinear DequantizeLinear',
    },
  ),
  rule('byte-weights', 'weights are uint8 or int8', 'builders/helper.cc', byteWeights, { ops: PRODUCTS }),
  rule('constant-scales', 'scales and zero points are constant', SCALES, constantScales),
  rule(
    'one-scale',
    'one scale a tensor, but for int8 weights of Conv, which have one a filter',
    SCALES,
    oneScale,
  ),
  rule('symmetric-weights', 'int8 weights have zero points of 0', SCALES, plainWeight, { ops: PRODUCTS }),
  rule('qlinear-types', 'QLinear operators read uint8', 'builders/helper.cc', every(inputIs(0, 'uint8')), {
    ops: 'QLinearConv QLinearMatMul com.microsoft:QLinearAdd com.microsoft:QLinearMul com.microsoft:QLinearSigmoid com.microsoft:QLinearAveragePool',
  }),
  rule(
    'average-pool-grid',
    'AveragePool keeps scale and zero point',
    'builders/impl/pool_op_builder.cc',
    sameParameters,
    {
      ops: 'AveragePool',
    },
  ),
  rule(
    'softmax-grid',
    'Softmax gives scale 1/256 and zero point 0',
    'builders/impl/softmax_op_builder.cc',
    softmaxGrid,
    {
      ops: 'Softmax',
    },
  ),
];
