/** NNAPI: products, convolutions, pools, arithmetic. */
import type { ProviderRule } from '../src/index.js';
import {
  type Check,
  clipBounds,
  dataRank,
  every,
  fixedInput,
  floatIs,
  inputCount,
  inputIs,
  intIs,
  intsAre,
  isQuantized,
  oneOutput,
  type rulesOf,
  seenAt,
  sizesOf,
} from './provider-conditions.js';

const IMPL = 'builders/impl';

const weightRank: Check = (unit) => {
  const rank = seenAt(unit, 1)?.shape?.length;
  return rank === 4 || `its weight has ${rank ?? 'an unknown number of'} axes`;
};

/** Grouped convolutions have no gaps between taps, depthwise ones may. */
const groupedDilations: Check = (unit) => {
  const { node } = unit;
  const gaps = node.ints('dilations', []).some((step) => step !== 1);
  const grouped = node.int('group', 1) !== 1 && seenAt(unit, 1)?.shape?.[1] !== 1;
  return !(gaps && grouped) || 'it has groups and dilations';
};

const quantizedBias: Check = (unit) => !isQuantized(unit) || fixedInput(2, 'its bias')(unit);

const windows: Check = ({ node }) => {
  const { length } = node.ints('kernel_shape', [1, 1]);
  return length === 2 || `its windows have ${length} axes`;
};

/** Products of matrices, or float batches of them that are batched alike. */
const matrices: Check = (unit) => {
  const a = sizesOf(unit.node.inputs[0]);
  const b = sizesOf(seenAt(unit, 1));
  if (a === undefined || b === undefined) return 'its sizes are unknown';
  if (a.length === 2 && b.length === 2) return true;
  if (a.length < 3 || b.length < 3) return `[${a}] times [${b}]`;
  if (!unit.node.is('MatMul') || isQuantized(unit)) return 'a batch of products that is not float';
  return String(a.slice(0, -2)) === String(b.slice(0, -2)) || `[${a}] times [${b}]`;
};

const fixedMatrix: Check = (unit) => {
  const { node } = unit;
  const rank = node.inputs[0]?.shape?.length ?? 0;
  if (rank > 2 || (node.is('Gemm') && node.int('transB', 0) === 1)) return true;
  return fixedInput(1, 'B')(unit);
};

const biasRow: Check = (unit) => {
  const { node } = unit;
  const shape = node.inputs[2] && sizesOf(seenAt(unit, 2));
  if (shape === undefined) return node.inputs[2] === undefined || 'the sizes of C are unknown';
  const columns = sizesOf(seenAt(unit, 1))?.[node.int('transB', 0) === 1 ? 0 : 1];
  const row =
    shape.length > 0 && shape.every((size, axis) => size === (axis === shape.length - 1 ? columns : 1));
  return row || `C is [${shape}], not a row of ${columns}`;
};

const reluBounds: Check = ({ node }) => {
  const bounds = clipBounds(node);
  if (bounds === undefined) return 'its bounds are computed';
  const { min, max } = bounds;
  return (min === 0 && max === 6) || (min === -1 && max === 1) || `it keeps ${min} to ${max}`;
};

const POOLS = 'AveragePool MaxPool';

export const nnapiLayerRules = (rule: ReturnType<typeof rulesOf>): readonly ProviderRule[] => {
  const conv = `${IMPL}/conv_op_builder.cc`;
  const pool = `${IMPL}/pool_op_builder.cc`;
  const gemm = `${IMPL}/gemm_op_builder.cc`;
  const batch = `${IMPL}/batchnorm_op_builder.cc`;
  return [
    rule('conv-constant', 'weights of convolutions are constant', conv, fixedInput(1, 'its weight'), {
      ops: 'Conv',
    }),
    rule('conv-rank', 'convolutions are over two axes', conv, weightRank, {
      ops: 'Conv',
      mend: 'lower-one-dimensional',
    }),
    rule('conv-dilations', 'grouped convolutions have no dilations', conv, groupedDilations, { ops: 'Conv' }),
    rule('conv-bias', 'the bias of a quantized product is constant', conv, quantizedBias, {
      ops: 'Conv Gemm',
    }),
    rule('pool-rank', 'pools are over two axes', pool, every(dataRank(4), windows), {
      ops: `${POOLS} GlobalAveragePool GlobalMaxPool`,
      mend: 'lower-one-dimensional',
    }),
    rule('pool-padding', 'averages leave padding out', pool, intIs('count_include_pad', 0), {
      ops: 'AveragePool',
      mend: 'lower-pools',
    }),
    rule('pool-ceiling', 'no window hangs over the edge', pool, intIs('ceil_mode', 0), { ops: POOLS }),
    rule('pool-dilations', 'windows of pools have no gaps', pool, intsAre('dilations', 1), { ops: POOLS }),
    rule('pool-indices', 'MaxPool gives no indices', pool, every(oneOutput, intIs('storage_order', 0)), {
      ops: POOLS,
    }),
    rule('gemm-rank', 'products of matrices, or of float batches of one shape', gemm, matrices, {
      ops: 'Gemm MatMul',
    }),
    rule('gemm-constant', 'B is constant, unless Gemm reads it transposed', gemm, fixedMatrix, {
      ops: 'Gemm MatMul',
    }),
    rule(
      'gemm-plain',
      'Gemm with alpha = beta = 1 and A as it stands',
      gemm,
      every(intIs('transA', 0), floatIs('alpha', 1), floatIs('beta', 1)),
      { ops: 'Gemm', mend: 'lower-gemm' },
    ),
    rule('gemm-bias', 'C of Gemm is a row', gemm, biasRow, { ops: 'Gemm', mend: 'lower-gemm' }),
    rule(
      'batch-normalization-constant',
      'statistics of BatchNormalization are constant',
      batch,
      every(
        fixedInput(1, 'its scale'),
        fixedInput(2, 'its bias'),
        fixedInput(3, 'its mean'),
        fixedInput(4, 'its variance'),
        oneOutput,
      ),
      { ops: 'BatchNormalization' },
    ),
    rule('lrn-rank', 'LRN over images', `${IMPL}/LRN_op_builder.cc`, dataRank(4), { ops: 'LRN' }),
    rule('clip-bounds', 'Clip keeps 0 to 6, or -1 to 1', `${IMPL}/clip_op_builder.cc`, reluBounds, {
      ops: 'Clip',
    }),
    rule('extremes-of-two', 'Min and Max of two', `${IMPL}/minmax_op_builder.cc`, inputCount(2), {
      ops: 'Min Max',
      mend: 'lower-extremes',
    }),
    rule(
      'pow-types',
      'Pow of float',
      `${IMPL}/binary_op_builder.cc`,
      every(inputIs(0, 'float'), inputIs(1, 'float')),
      {
        ops: 'Pow',
        mend: 'lower-powers',
      },
    ),
    rule(
      'reduce-axes',
      'axes of ReduceMean are constant',
      `${IMPL}/reduction_op_builder.cc`,
      every(fixedInput(1, 'axes'), intIs('noop_with_empty_axes', 0)),
      { ops: 'ReduceMean' },
    ),
  ];
};
