/**
 * What HTP demands of the Q and DQ around a node: integers everywhere, one scale a tensor but for weights, and parameters
 * that kernels are made for.
 */
import {
  isDequantize,
  isQuantize,
  type Node,
  type ProviderRule,
  scalarQuantization,
  type Value,
  zeroPointsOf,
  zeroPointType,
} from '../src/index.js';
import { type Check, isFixed, type rulesOf } from './provider-conditions.js';

const isQuantizer = (node: Node): boolean => isQuantize(node) || isDequantize(node);

const isFloat = (value: Value | undefined): value is Value =>
  value?.dtype === 'float' || value?.dtype === 'float16' || value?.dtype === 'double';

/** Float operands that are read as they are: bounds of Clip, what Pad fills in, scales of Resize, scalars of Where. */
function readsFloat(node: Node, index: number): boolean {
  const input = node.inputs[index];
  if (!isFixed(input)) return false;
  if (node.is('Where')) return input?.constant?.count === 1;
  return index > 0 && (node.is('Clip') || node.is('Pad') || node.is('Resize'));
}

/** Numbers that become floats, or floats that become numbers, are taken with the Q behind the Cast. */
const castsIntoQ = (node: Node | undefined): boolean => node?.is('Cast') === true && !isFloat(node.inputs[0]);

const quantizedInputs: Check = (unit) => {
  const { node, dequantizes } = unit;
  const index = node.inputs.findIndex(
    (input, at) =>
      isFloat(input) && !dequantizes[at] && !readsFloat(node, at) && !(input.isInput && !input.isConstant),
  );
  return index < 0 || `input ${index} (${node.inputs[index]!.name}) is float`;
};

const quantizedOutputs: Check = ({ node, quantizes, absorbed }) => {
  const index = node.outputs.findIndex(
    (output, at) =>
      isFloat(output) && !quantizes[at] && !(at === 0 && absorbed) && !output.isOutput && !output.isOmitted,
  );
  if (index < 0) return true;
  const readByQ = node.outputs[index]!.uses.every((use) => isQuantize(use.node));
  return (castsIntoQ(node) && readByQ) || `output ${index} (${node.outputs[index]!.name}) leaves as float`;
};

const noIsland: Check = (unit) => {
  // By themselves Q and DQ are taken: at the ends of the graph, and beside what is left to the CPU.
  if (isQuantizer(unit.node)) return true;
  const inputs = quantizedInputs(unit);
  return inputs === true ? quantizedOutputs(unit) : inputs;
};

const quantizedEnds: Check = ({ node, dequantizes, quantizes }) => {
  if (isQuantizer(node)) return true;
  const input = node.inputs.find(
    (each, at) => isFloat(each) && each.isInput && !each.isConstant && !dequantizes[at],
  );
  if (input) return `it reads the graph's input ${input.name} as float`;
  const output = node.outputs.find((each, at) => isFloat(each) && each.isOutput && !quantizes[at]);
  return output === undefined || `it gives the graph's output ${output.name} as float`;
};

const quantizersOf = ({ node, dequantizes, quantizes }: Parameters<Check>[0]): Node[] => [
  ...(isQuantizer(node) ? [node] : []),
  ...dequantizes.filter((each) => each !== undefined),
  ...quantizes.filter((each) => each !== undefined),
];

const constantParameters: Check = (unit) => {
  for (const each of quantizersOf(unit))
    for (const index of [1, 2]) {
      const value = each.inputs[index];
      if (value !== undefined && !isFixed(value)) return `${value.name} of ${each.label} is computed`;
    }
  return true;
};

const scalesOf = (node: Node): number =>
  (node.inputs[1]?.shape ?? [0]).reduce<number>((all, dim) => all * Number(dim ?? 0), 1);
const manyScales = (node: Node): boolean => (node.inputs[1]?.shape?.length ?? 0) > 0 && scalesOf(node) !== 1;

const oneScale: Check = (unit) => {
  for (const each of quantizersOf(unit)) {
    if (!manyScales(each)) continue;
    if (!isFixed(each.inputs[0])) return `${each.label} has ${scalesOf(each)} scales for what is computed`;
    if (each === unit.node) return `${each.label} stands by itself, with ${scalesOf(each)} scales`;
  }
  return true;
};

/** The axis of a weight that may have a scale for each index. */
function weightAxis(node: Node, rank: number): number | undefined {
  if (node.is('Conv')) return 0;
  if (node.is('ConvTranspose')) return 1;
  if (node.is('MatMul') && rank <= 2) return rank - 1;
  if (node.is('Gemm')) return node.int('transB', 0) === 1 ? 0 : 1;
  return undefined;
}

const channelAxis: Check = ({ node, dequantizes }) => {
  for (const [index, each] of dequantizes.entries()) {
    if (each === undefined || !manyScales(each)) continue;
    const rank = each.inputs[0]?.shape?.length ?? 0;
    const axis = (each.int('axis', 1) + rank) % rank;
    const wanted = index === 1 ? weightAxis(node, rank) : index === 2 ? 0 : undefined;
    if (wanted === undefined)
      return `input ${index} of ${node.opType} has ${scalesOf(each)} scales, and may have one`;
    if (axis !== wanted) return `scales lie along axis ${axis} of input ${index}, not ${wanted}`;
    if (zeroPointsOf(each)?.some((zero) => zero !== 0))
      return `input ${index} has a scale each channel, and zero points that are not 0`;
  }
  return true;
};

const noBlocks: Check = ({ dequantizes }) => {
  const blocked = dequantizes.find((each) => each !== undefined && each.int('block_size', 0) > 0);
  return blocked === undefined || `${blocked.label} has blocks of ${blocked.int('block_size', 0)}`;
};

/** Operators that move bytes: parameters do not change. Of several outputs those that are floats count. */
const MOVING =
  'Gather GatherElements Reshape Expand Flatten Transpose MaxPool Resize Squeeze Unsqueeze Tile TopK Split';

const sameParameters: Check = ({ dequantizes: [before], quantizes }) => {
  const given = before && scalarQuantization(before);
  for (const each of quantizes) {
    const made = each && scalarQuantization(each);
    if (!given || !made) continue;
    if (given.scale !== made.scale || given.zeroPoint !== made.zeroPoint)
      return `scale ${given.scale} and zero point ${given.zeroPoint} become ${made.scale} and ${made.zeroPoint}`;
  }
  return true;
};

/** Scale and zero point of what 16-bit lookup tables give, by operator and type. */
const FIXED: Readonly<Record<string, Readonly<Record<string, readonly [number, number]>>>> = {
  Sigmoid: { uint16: [2 ** -16, 0], int16: [2 ** -15, 0] },
  Tanh: { uint16: [2 ** -15, 32768], int16: [2 ** -15, 0] },
};

const fixedRange: Check = ({ node, quantizes: [after] }) => {
  const wanted = after && FIXED[node.opType]?.[zeroPointType(after) ?? ''];
  const made = after && scalarQuantization(after);
  if (!wanted || !made) return true;
  const [scale, zero] = wanted;
  return (
    (Math.abs(made.scale / scale - 1) < 1e-6 && made.zeroPoint === zero) ||
    `its output has scale ${made.scale} and zero point ${made.zeroPoint}, not ${scale} and ${zero}`
  );
};

export const qnnUnitRules = (rule: ReturnType<typeof rulesOf>): readonly ProviderRule[] => [
  rule(
    'graph-io',
    'inputs of the graph go into Q first, outputs come out of DQ last',
    'core/providers/qnn/qnn_execution_provider.cc',
    quantizedEnds,
    {
      mend: 'insert-qdq',
    },
  ),
  rule(
    'quantized',
    'every float that a node reads or gives stands between Q and DQ',
    'core/providers/qnn/builder/qnn_model_wrapper.cc',
    noIsland,
    {
      mend: 'insert-qdq',
    },
  ),
  rule(
    'constant-parameters',
    'scales and zero points are constants',
    'core/providers/qnn/builder/qnn_quant_params_wrapper.cc',
    constantParameters,
  ),
  rule(
    'per-tensor',
    'what is computed has one scale; Q and DQ by themselves have one',
    'core/providers/qnn/builder/opbuilder/simple_op_builder.cc',
    oneScale,
    { mend: 'insert-qdq' },
  ),
  rule(
    'per-channel-axis',
    'weights of Conv, ConvTranspose, MatMul and Gemm have a scale each output channel, or one; zero points are 0',
    'core/providers/qnn/builder/opbuilder/base_op_builder.cc',
    channelAxis,
    { mend: 'insert-qdq' },
  ),
  rule(
    'blocks',
    'weights have no scales for blocks, but as LPBQ writes them',
    'core/providers/qnn/builder/qnn_node_group',
    noBlocks,
  ),
  rule(
    'same-parameters',
    'what only moves data leaves scale and zero point as they are',
    'core/optimizer/qdq_transformer/selectors_actions/shared/utils.cc',
    sameParameters,
    { ops: MOVING, mend: 'insert-qdq' },
  ),
  rule(
    'fixed-range',
    'Sigmoid and Tanh of 16 bits give 1/65536 and 1/32768 steps',
    'python/tools/quantization/execution_providers/qnn/quant_config.py',
    fixedRange,
    { ops: 'Sigmoid Tanh', mend: 'insert-qdq' },
  ),
];
