/**
 * What ONNX Runtime's XNNPACK provider takes (ONNX Runtime 1.30): read from its kernels. It is a provider of CPU kernels: what
 * it leaves runs on ONNX Runtime's own, in the same memory, and costs nothing but the kernel that is not as fast.
 */
import type { ProviderTable } from '../src/index.js';
import {
  type Check,
  clipBounds,
  every,
  fixedInput,
  floatIs,
  inputIs,
  isFixed,
  isQuantized,
  numbersAt,
  rulesOf,
  seenAt,
  seenFrom,
  sizesOf,
} from './provider-conditions.js';

import { xnnpackImageRules } from './xnnpack-image-rules.js';

const FOLDER = 'onnxruntime/core/providers/xnnpack';
const rule = rulesOf('xnnpack', FOLDER);

const lastAxis: Check = ({ node }) => {
  const shape = node.inputs[0]?.shape;
  if (shape === undefined || shape.length === 0) return 'the shape of its input is unknown';
  const axis = node.int('axis', -1);
  if (axis !== -1 && axis !== shape.length - 1) return `axis is ${axis}`;
  return typeof shape.at(-1) === 'number' || 'its last size is open';
};

const softmaxGrid: Check = (unit) => {
  if (!isQuantized(unit)) return inputIs(0, 'float', 'float16')(unit);
  const [x, y] = [seenAt(unit, 0)?.dtype, seenFrom(unit, 0)?.dtype];
  if (x !== 'uint8' || y !== 'uint8') return `${x} → ${y}`;
  const [scale] = numbersAt(unit.quantizes[0]!, 1) ?? [];
  const [zero] = numbersAt(unit.quantizes[0]!, 2) ?? [0];
  const fits = scale !== undefined && Math.abs(scale - 1 / 256) <= 1e-4 && zero === 0;
  return fits || `its output has scale ${scale} and zero point ${zero}`;
};

const matrixBias: Check = ({ node }) => {
  const shape = node.inputs[2] && sizesOf(node.inputs[2]);
  if (node.inputs[2] === undefined) return true;
  if (shape === undefined || shape.length === 0 || shape.length > 2) return 'C is not a row';
  const weight = sizesOf(node.inputs[1]) ?? [];
  return weight.includes(shape[0]!) || `C is [${shape}]`;
};

/** What it is asked of itself, weights behind a DequantizeLinear included, which no kernel of float products reads. */
const constantMatrix: Check = ({ node }) => {
  const [a, b] = node.inputs;
  if (!isFixed(b)) return 'B is not a float constant';
  const most = node.is('Gemm') ? 2 : Number.POSITIVE_INFINITY;
  if ((a?.shape?.length ?? Number.POSITIVE_INFINITY) > most) return 'A is no matrix';
  const shape = sizesOf(b) ?? [];
  return (shape.length <= 2 && !shape.includes(0)) || `B is [${shape}]`;
};

/** Convolutions and pools take what bounds them along. */
const boundsBefore: Check = ({ node }) => {
  const before = node.inputs[0]?.producer;
  const takes = before && ['Conv', 'MaxPool', 'AveragePool'].includes(before.opType) && before.domain === '';
  if (!takes) return 'no convolution or pool stands before it';
  const sole = before.outputs[0]!.uses.length === 1 && !before.outputs[0]!.isOutput;
  if (!sole) return `${before.label} has other readers`;
  return !node.is('Clip') || clipBounds(node) !== undefined || 'its bounds are computed';
};

export const xnnpack: ProviderTable = {
  provider: 'xnnpack',
  operators: new Set(
    'AveragePool Clip Conv ConvTranspose Gemm MatMul MaxPool QLinearConv Relu Resize Softmax'.split(' '),
  ),
  source: `${FOLDER}/xnnpack_execution_provider.cc`,
  readsUnits: true,
  subgraphs: true,
  rules: [
    ...xnnpackImageRules(rule),
    rule('softmax-axis', 'Softmax along the last axis', 'math/softmax.cc', lastAxis, { ops: 'Softmax' }),
    rule(
      'softmax-grid',
      'Softmax of float, or uint8 to scale 1/256 and zero point 0',
      'math/softmax.cc',
      softmaxGrid,
      {
        ops: 'Softmax',
      },
    ),
    rule(
      'matrix-types',
      'Gemm and MatMul of float or float16',
      'math/gemm.cc',
      inputIs(0, 'float', 'float16'),
      {
        ops: 'Gemm MatMul',
      },
    ),
    rule(
      'matrix-constant',
      'B is a constant matrix, and A of Gemm a matrix',
      'math/gemm.cc',
      constantMatrix,
      {
        ops: 'Gemm MatMul',
      },
    ),
    rule(
      'gemm-plain',
      'Gemm with alpha = beta = 1',
      'math/gemm.cc',
      every(floatIs('alpha', 1), floatIs('beta', 1)),
      {
        ops: 'Gemm',
      },
    ),
    rule('gemm-bias', 'C of Gemm is a constant row', 'math/gemm.cc', every(fixedInput(2, 'C'), matrixBias), {
      ops: 'Gemm',
    }),
    rule(
      'bounds-before',
      'Relu and Clip behind a float convolution or pool alone',
      'detail/node_support_checker.cc',
      boundsBefore,
      {
        ops: 'Relu Clip',
      },
    ),
  ],
};
