/**
 * Which integers go together: what ONNX Runtime's tests of the provider run on HTP (test/providers/qnn and those of the
 * plug-in). Qualcomm's own matrix of types is not in the repository; what no test shows is refused where a test of the
 * same operator is switched off, or where the provider's code refuses it.
 */
import { isDequantize, isQuantize, type Node, type ProviderRule, zeroPointType } from '../src/index.js';
import { type Check, isFixed, type rulesOf } from './provider-conditions.js';

const SHORT: Readonly<Record<string, string>> = {
  uint8: 'u8',
  int8: 's8',
  uint16: 'u16',
  int16: 's16',
  int4: 's4',
  uint4: 'u4',
  int32: 's32',
};
const isQuantizer = (node: Node): boolean => isQuantize(node) || isDequantize(node);

type Unit = Parameters<Check>[0];

const typeAt = ({ dequantizes }: Unit, index: number): string | undefined => {
  const node = dequantizes[index];
  const type = node && zeroPointType(node);
  return type && (SHORT[type] ?? type);
};

/** Activation and weight; `c` where the weight has to have a scale each channel. */
const PAIRS: readonly (readonly [ops: string, pairs: string])[] = [
  ['Conv ConvTranspose', 'u8/u8 u8/s8 s8/s8 u16/s8 u16/u8 u16/s16 u16/u16 u16/s4c'],
  // A constant second factor makes MatMul the FullyConnected that Gemm is.
  ['MatMul', 'u8/u8 u8/s8 s8/s8 u16/u16 u16/u8 u16/s8 u16/s4c'],
  ['Gemm', 'u8/u8 u8/s8 s8/s8 u16/u16 u16/u8 u16/s8'],
  ['BatchNormalization', 'u8/s8 u8/u8 u8/u16 u8/s16 u16/u8'],
  ['LayerNormalization RMSNormalization SimplifiedLayerNormalization', 'u8/u8 u16/u8'],
  ['InstanceNormalization', 'u8/u8 u8/s8 u16/u8'],
];
const ALLOWED = new Map(PAIRS.flatMap(([ops, pairs]) => ops.split(' ').map((op) => [op, pairs.split(' ')])));

const perChannel = ({ dequantizes }: Unit, index: number): boolean =>
  (dequantizes[index]?.inputs[1]?.shape?.length ?? 0) > 0;

const pairs: Check = (unit) => {
  const [activation, weight] = [typeAt(unit, 0), typeAt(unit, 1)];
  if (activation === undefined || weight === undefined) return true;
  const allowed = ALLOWED.get(unit.node.opType)!;
  const pair = `${activation}/${weight}`;
  if (allowed.includes(pair)) return true;
  if (allowed.includes(`${pair}c`)) return perChannel(unit, 1) || `${pair} needs a scale each output channel`;
  return `${pair} is no pair of types that it takes (${allowed.join(', ')})`;
};

const wideProducts: Check = (unit) => {
  if (typeAt(unit, 0) !== 'u16' || typeAt(unit, 1) !== 'u16') return true;
  const constant = isFixed(unit.dequantizes[1]?.inputs[0]);
  return constant || 'both factors are computed, and have 16 bits: one must go through 8';
};

const wideWeights: Check = (unit) => {
  const weight = typeAt(unit, 1);
  if (typeAt(unit, 0) !== 'u16' || (weight !== 's16' && weight !== 'u16')) return true;
  const bias = unit.node.inputs[2];
  if (weight === 'u16') return bias === undefined || 'u16 weights beside u16 activations come with no bias';
  return (
    (bias !== undefined && isFixed(unit.dequantizes[2]?.inputs[0] ?? bias)) ||
    's16 weights beside u16 activations need a constant bias'
  );
};

const bias: Check = (unit) => {
  const type = typeAt(unit, 2);
  return type === undefined || type === 's32' || `its bias is ${type}, not s32`;
};

const ACTIVATIONS = ['u8', 's8', 'u16', 's16'];

const activations: Check = (unit) => {
  const { node, dequantizes, quantizes } = unit;
  if (isQuantizer(node)) {
    const type = zeroPointType(node);
    const short = type && (SHORT[type] ?? type);
    return (
      ACTIVATIONS.includes(short ?? '') ||
      `${short ?? 'an unknown type'} is none of ${ACTIVATIONS.join(', ')}`
    );
  }
  const around = [dequantizes[0], ...quantizes].flatMap((each) => (each ? [zeroPointType(each)] : []));
  const strange = around.find((type) => !ACTIVATIONS.includes(SHORT[type ?? ''] ?? ''));
  return (
    strange === undefined || `activations are ${SHORT[strange] ?? strange}, none of ${ACTIVATIONS.join(', ')}`
  );
};

/** All that is data has one type; products and normalizations have weights of another. */
const oneType: Check = (unit) => {
  const { node, dequantizes, quantizes } = unit;
  if (isQuantizer(node)) return true;
  const ends = ALLOWED.has(node.opType) ? [dequantizes[0]] : dequantizes;
  const types = new Set(
    [...ends, ...quantizes].flatMap((each) => (each ? [SHORT[zeroPointType(each) ?? ''] ?? '?'] : [])),
  );
  return types.size < 2 || `${[...types].join(' and ')} meet in it`;
};

const TESTS = 'test/providers/qnn';

export const qnnTypeRules = (rule: ReturnType<typeof rulesOf>): readonly ProviderRule[] => [
  rule(
    'activation-types',
    'activations are integers of 8 or 16 bits',
    'core/providers/qnn/builder/qnn_utils.cc',
    activations,
    {
      mend: 'insert-qdq',
    },
  ),
  rule('one-type', 'what a node reads as data and what it gives has one type', TESTS, oneType, {
    mend: 'insert-qdq',
  }),
  rule('weight-types', 'activations and weights are a pair of types that a kernel takes', TESTS, pairs, {
    ops: [...ALLOWED.keys()].join(' '),
    mend: 'insert-qdq',
  }),
  rule('wide-products', 'of two computed factors one has 8 bits', `${TESTS}/matmul_test.cpp`, wideProducts, {
    ops: 'MatMul Gemm',
    mend: 'insert-qdq',
  }),
  rule(
    'wide-weights',
    'weights of 16 bits go with a constant bias, or with none',
    `${TESTS}/conv_test.cc`,
    wideWeights,
    {
      ops: 'Conv ConvTranspose',
      mend: 'insert-qdq',
    },
  ),
  rule('bias-type', 'the bias has 32 bits', 'core/providers/qnn/builder/opbuilder/conv_op_builder.cc', bias, {
    ops: 'Conv ConvTranspose Gemm LayerNormalization RMSNormalization InstanceNormalization BatchNormalization',
    mend: 'insert-qdq',
  }),
];
