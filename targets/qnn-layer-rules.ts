/** What HTP demands operator by operator: attributes, constant operands, ranks. Q and DQ around them are another matter. */
import type { Node, ProviderRule } from '../src/index.js';
import {
  type Check,
  dataRank,
  every,
  fixedInput,
  floatIs,
  intIs,
  intsAre,
  numbersAt,
  rankAtMost,
  type rulesOf,
  stringIs,
} from './provider-conditions.js';

const rankOf = (node: Node, index = 0): number | undefined => node.inputs[index]?.shape?.length;

/** Operands that are no data, by operator: shapes, axes, counts, pads. */
const FIXED: Readonly<Record<string, readonly number[]>> = {
  Reshape: [1],
  Expand: [1],
  Tile: [1],
  Slice: [1, 2, 3, 4],
  Split: [1],
  Squeeze: [1],
  Unsqueeze: [1],
  Pad: [1, 2, 3],
  TopK: [1],
  CumSum: [1],
  Resize: [1, 2, 3],
  Upsample: [1],
  ReduceL2: [1],
  ReduceMax: [1],
  ReduceMean: [1],
  ReduceMin: [1],
  ReduceProd: [1],
  ReduceSum: [1],
};

const fixedOperands: Check = (unit) => {
  const { node } = unit;
  for (const index of FIXED[node.opType] ?? []) {
    const answer = fixedInput(index, `input ${index} (${node.inputs[index]?.name})`)(unit);
    if (answer !== true) return answer;
  }
  return true;
};

const lastAxis: Check = ({ node }) => {
  const [axis, rank] = [node.int('axis', -1), rankOf(node)];
  return axis === -1 || (rank !== undefined && axis === rank - 1) || `axis is ${axis}, not the last`;
};

const noNegativeIndices: Check = ({ node }) => {
  const least = numbersAt(node, 1)?.reduce((a, b) => Math.min(a, b), 0) ?? 0;
  return least >= 0 || `an index is ${least}`;
};

const nearestFloors: Check = ({ node }) => {
  if (node.string('mode', 'nearest') !== 'nearest') return true;
  if (node.string('coordinate_transformation_mode', 'half_pixel') !== 'asymmetric') return true;
  const rounding = node.string('nearest_mode', 'round_prefer_floor');
  return rounding === 'floor' || `nearest_mode is ${rounding}, with asymmetric coordinates`;
};

const gemmRow: Check = ({ node, dequantizes }) => {
  const shape = (dequantizes[2]?.inputs[0] ?? node.inputs[2])?.shape;
  const row = shape === undefined || shape.length === 1 || (shape.length === 2 && shape[0] === 1);
  return row || `C is [${shape}]`;
};

/** Without a bias beta has nothing to scale. */
const beta: Check = (unit) => unit.node.inputs[2] === undefined || floatIs('beta', 1)(unit);

const noZeroSizes: Check = ({ node }) =>
  numbersAt(node, 1)?.includes(0) !== true ||
  node.inputs[0]?.shape?.includes(0) === false ||
  'its shape has sizes of 0';

const twoInputs: Check = ({ node }) => node.inputs.length === 2 || `it has ${node.inputs.length} inputs`;

const never =
  (why: string): Check =>
  () =>
    why;

const quantizedNever =
  (why: string): Check =>
  ({ dequantizes, quantizes }) =>
    ![...dequantizes, ...quantizes].some((each) => each !== undefined) || why;

const flatPool: Check = ({ node }) =>
  node.opType !== 'MaxPool' || rankOf(node) !== 5 || 'it has 3 spatial axes';

const MATMUL_BLOCKS: Readonly<Record<number, number>> = { 2: 16, 4: 8, 8: 4 };

const blockMatMul: Check = ({ node }) => {
  const [bits, block, k] = [node.int('bits', 4), node.int('block_size', 0), node.int('K', 0)];
  const step = MATMUL_BLOCKS[bits];
  if (step === undefined || block % step !== 0) return `blocks of ${block} at ${bits} bits`;
  if (k % block !== 0) return `${k} is no multiple of ${block}`;
  if (node.inputs[4] !== undefined || node.inputs[5] !== undefined) return 'it has g_idx or a bias';
  return rankOf(node) === 3 || `A has ${rankOf(node) ?? 'an unknown number of'} axes`;
};

export const qnnLayerRules = (rule: ReturnType<typeof rulesOf>): readonly ProviderRule[] => {
  const builder = (name: string): string => `core/providers/qnn/builder/opbuilder/${name}_op_builder.cc`;
  return [
    rule(
      'constant-operands',
      'shapes, axes, counts, pads and scales are constants',
      builder('base'),
      fixedOperands,
      { ops: Object.keys(FIXED).join(' '), mend: 'fold-constants' },
    ),
    rule('convolution-rank', 'convolutions have 1, 2 or 3 spatial axes', builder('conv'), dataRank(3, 4, 5), {
      ops: 'Conv ConvTranspose',
    }),
    rule('transposed-dilation', 'ConvTranspose has no dilations', builder('conv'), intsAre('dilations', 1), {
      ops: 'ConvTranspose',
    }),
    rule(
      'pool',
      'pools have no dilations, and MaxPool 1 or 2 spatial axes',
      builder('pool'),
      every(dataRank(3, 4, 5), intsAre('dilations', 1), flatPool),
      { ops: 'MaxPool AveragePool GlobalMaxPool GlobalAveragePool' },
    ),
    rule(
      'gemm',
      'alpha and beta are 1, and C is a row',
      builder('gemm'),
      every(floatIs('alpha', 1), beta, gemmRow),
      {
        ops: 'Gemm',
        mend: 'gemm-to-matmul-add',
      },
    ),
    rule('two-inputs', 'Min, Max and Sum have two inputs', builder('base'), twoInputs, {
      ops: 'Min Max Sum',
      mend: 'lower-sums',
    }),
    rule('gather-indices', 'indices are not negative', builder('gather'), noNegativeIndices, {
      ops: 'Gather GatherElements',
      mend: 'lower-indexing',
    }),
    rule('resize-rank', 'Resize has 1, 2 or 3 spatial axes', builder('resize'), dataRank(3, 4, 5), {
      ops: 'Resize Upsample',
    }),
    rule('resize-mode', 'nearest with asymmetric coordinates rounds down', builder('resize'), nearestFloors, {
      ops: 'Resize',
      mend: 'lower-resize',
    }),
    rule('last-axis', 'normalization is over the last axis', builder('layer_norm'), lastAxis, {
      ops: 'LayerNormalization RMSNormalization SimplifiedLayerNormalization',
    }),
    rule('rms-rank', 'RMSNormalization has at most 4 axes', builder('rms_norm'), rankAtMost(4), {
      ops: 'RMSNormalization SimplifiedLayerNormalization',
    }),
    rule(
      'instance-rank',
      'InstanceNormalization has 1, 2 or 3 spatial axes',
      builder('instance_norm'),
      dataRank(3, 4, 5),
      {
        ops: 'InstanceNormalization',
      },
    ),
    rule(
      'reshape',
      'a size of 0 is none of the shape',
      builder('reshape'),
      every(intIs('allowzero', 0), noZeroSizes),
      {
        ops: 'Reshape',
        mend: 'shape-targets',
      },
    ),
    rule(
      'cumsum',
      'CumSum is neither exclusive nor reversed',
      builder('cumsum'),
      every(intIs('exclusive', 0), intIs('reverse', 0)),
      {
        ops: 'CumSum',
      },
    ),
    rule('mod', 'Mod is that of integers', builder('mod'), intIs('fmod', 0), { ops: 'Mod' }),
    rule('lp-norm', 'LpNormalization is of order 2', builder('simple'), intIs('p', 2), {
      ops: 'LpNormalization',
    }),
    rule(
      'arg-extremes',
      'ArgMax and ArgMin answer with the first, of at most 4 axes',
      builder('argmax_min'),
      every(intIs('select_last_index', 0), rankAtMost(4)),
      { ops: 'ArgMax ArgMin' },
    ),
    rule(
      'coordinates',
      'Resize knows no region of interest',
      builder('resize'),
      stringIs(
        'coordinate_transformation_mode',
        'half_pixel',
        'half_pixel',
        'pytorch_half_pixel',
        'align_corners',
        'asymmetric',
      ),
      {
        ops: 'Resize',
      },
    ),
    rule('products', 'HTP multiplies along no axis', builder('reduce'), never('HTP has no such kernel'), {
      ops: 'ReduceProd Or',
      mend: 'lower-logic',
    }),
    rule(
      'reduce-l2',
      'ReduceL2 is not quantized',
      builder('reduce'),
      quantizedNever('its integers are not taken'),
      {
        ops: 'ReduceL2',
        mend: 'lower-reductions',
      },
    ),
    rule(
      'recurrent',
      'LSTM and GRU are not quantized: tests of that are switched off',
      'test/providers/qnn/lstm_test.cc',
      quantizedNever('its integers are not taken'),
      { ops: 'LSTM GRU', mend: 'lower-recurrent' },
    ),
    rule(
      'block-matmul',
      'MatMulNBits has blocks that divide K, three axes, no bias',
      builder('matmulnbits'),
      blockMatMul,
      {
        ops: 'com.microsoft:MatMulNBits',
      },
    ),
  ];
};
