/** Core ML: products, convolutions, pools, norms, arithmetic. */
import type { ProviderRule } from '../src/index.js';
import {
  type Check,
  clipBounds,
  dataRank,
  every,
  fixedAtLoad,
  floatIs,
  inputIs,
  intIs,
  intsAre,
  kernelOfWeight,
  oneOutput,
  type rulesOf,
  sizesOf,
  stringIs,
} from './provider-conditions.js';

/** Textures of convolutions are no wider. */
const LARGEST = 16_384;

const smallEnough: Check = ({ node }) => {
  for (const value of [node.inputs[0], node.inputs[1], node.outputs[0]]) {
    const large = sizesOf(value)?.find((size) => size > LARGEST);
    if (large !== undefined) return `${value!.name} has a size of ${large}`;
  }
  return true;
};

const weightRank: Check = ({ node }) => {
  const rank = node.inputs[1]?.shape?.length;
  return rank === 3 || rank === 4 || `its weight has ${rank ?? 'an unknown number of'} axes`;
};

/** The same on all sides: Core ML's devices disagree otherwise. */
const evenPads: Check = ({ node }) => {
  const pads = node.ints('pads', []);
  return pads.every((each) => each === pads[0]) || `pads are [${pads}]`;
};

const absentInts =
  (name: string): Check =>
  ({ node }) =>
    node.ints(name) === undefined || `${name} is said`;

/** A number, a list of one or of N, or a row of N. */
const biasRow: Check = ({ node }) => {
  const shape = node.inputs[2]?.shape;
  if (shape === undefined) return true;
  const columns = node.inputs[1]?.shape?.[node.int('transB', 0) === 1 ? 0 : 1];
  const [first, second] = shape;
  const fits =
    shape.length === 0 ||
    (shape.length === 1 && (first === 1 || first === columns)) ||
    (shape.length === 2 && first === 1 && second === columns);
  return fits || `C is [${shape.map(String)}], not a row of ${columns}`;
};

const boundsApart: Check = ({ node }) => {
  const bounds = clipBounds(node);
  if (bounds === undefined) return 'its bounds are computed';
  return bounds.min !== bounds.max || 'both bounds are the same';
};

const sameTypes: Check = (unit) => {
  const [first, second] = unit.node.inputs;
  return first?.dtype === second?.dtype || `${first?.dtype} to the power of ${second?.dtype}`;
};

const slope: Check = ({ node }) => {
  const [data, slopes] = node.inputs;
  const sizes = sizesOf(slopes);
  const channels = data?.shape?.at(-3);
  if (sizes === undefined || typeof channels !== 'number') return 'its sizes are unknown';
  const one = sizes.every((size) => size === 1);
  if (one && channels === 1) return 'one slope, and one channel, which Core ML takes for another form';
  return one || (sizes.length === 3 && sizes[1] === 1 && sizes[2] === 1) || `its slope is [${sizes}]`;
};

const sameFloats: Check = ({ node }) => {
  const dtype = node.inputs[0]?.dtype;
  if (dtype !== 'float' && dtype !== 'float16') return `its input is ${dtype ?? 'of unknown type'}`;
  const other = node.inputs.slice(1, 3).find((input) => input !== undefined && input.dtype !== dtype);
  return other === undefined || `${other.name} is ${other.dtype}, and its input ${dtype}`;
};

const NORMS = 'LayerNormalization GroupNormalization InstanceNormalization';
const POOLS = 'AveragePool MaxPool';
const IMPL = 'builders/impl';

export const coremlLayerRules = (rule: ReturnType<typeof rulesOf>): readonly ProviderRule[] => {
  const convolution = `${IMPL}/conv_op_builder.cc`;
  const transposed = `${IMPL}/convtranspose_op_builder.cc`;
  const pool = `${IMPL}/pool_op_builder.cc`;
  const gemm = `${IMPL}/gemm_op_builder.cc`;
  const norm = `${IMPL}/normalization_op_builder.cc`;
  const batch = `${IMPL}/batch_norm_op_builder.cc`;
  const conv = { ops: 'Conv com.microsoft:FusedConv' };
  return [
    rule('conv-rank', 'convolutions are over one or two axes', convolution, weightRank, conv),
    rule(
      'conv-bias-constant',
      'the bias of a convolution is constant',
      convolution,
      fixedAtLoad(2, 'its bias'),
      conv,
    ),
    rule('conv-size', `no size of a convolution is beyond ${LARGEST}`, convolution, smallEnough, conv),
    rule('conv-kernel-shape', 'kernel_shape is that of the weight', convolution, kernelOfWeight, {
      ops: 'Conv ConvTranspose com.microsoft:FusedConv',
    }),
    rule(
      'conv-transpose-constant',
      'weight and bias of ConvTranspose are constant',
      transposed,
      every(fixedAtLoad(1, 'its weight'), fixedAtLoad(2, 'its bias')),
      { ops: 'ConvTranspose' },
    ),
    rule(
      'conv-transpose-auto-pad',
      'ConvTranspose knows no auto_pad SAME',
      transposed,
      stringIs('auto_pad', 'NOTSET', 'NOTSET', 'VALID'),
      { ops: 'ConvTranspose' },
    ),
    rule(
      'conv-transpose-even-pads',
      'pads of ConvTranspose are the same on all sides',
      transposed,
      evenPads,
      {
        ops: 'ConvTranspose',
        mend: 'lower-transposed-pads',
      },
    ),
    rule('conv-transpose-output-shape', 'no output_shape', transposed, absentInts('output_shape'), {
      ops: 'ConvTranspose',
    }),
    rule('conv-transpose-output-padding', 'no output_padding', transposed, intsAre('output_padding', 0), {
      ops: 'ConvTranspose',
    }),
    rule('pool-rank', 'pools are over two axes', pool, dataRank(4), {
      ops: `${POOLS} GlobalAveragePool GlobalMaxPool`,
      mend: 'lower-one-dimensional',
    }),
    rule('pool-dilations', 'windows of pools have no gaps', pool, intsAre('dilations', 1), { ops: POOLS }),
    rule('pool-indices', 'MaxPool gives no indices', pool, every(oneOutput, intIs('storage_order', 0)), {
      ops: POOLS,
    }),
    rule('gemm-constant', 'B of Gemm is constant', gemm, fixedAtLoad(1, 'B'), { ops: 'Gemm' }),
    rule(
      'gemm-plain',
      'Gemm with alpha = beta = 1 and A as it stands',
      gemm,
      every(intIs('transA', 0), floatIs('alpha', 1), floatIs('beta', 1)),
      { ops: 'Gemm', mend: 'lower-gemm' },
    ),
    rule('gemm-bias', 'C of Gemm is a constant number or row', gemm, every(fixedAtLoad(2, 'C'), biasRow), {
      ops: 'Gemm',
      mend: 'lower-gemm',
    }),
    rule('batch-normalization-rank', 'BatchNormalization over images', batch, dataRank(4), {
      ops: 'BatchNormalization',
    }),
    rule(
      'batch-normalization-constant',
      'statistics of BatchNormalization are constant',
      batch,
      every(
        fixedAtLoad(1, 'its scale'),
        fixedAtLoad(2, 'its bias'),
        fixedAtLoad(3, 'its mean'),
        fixedAtLoad(4, 'its variance'),
        oneOutput,
      ),
      { ops: 'BatchNormalization' },
    ),
    rule(
      'norm-constant',
      'scale and bias of norms are constant',
      norm,
      every(fixedAtLoad(1, 'its scale'), fixedAtLoad(2, 'its bias')),
      { ops: NORMS },
    ),
    rule('norm-types', 'norms read float or float16, scale and bias alike', norm, sameFloats, { ops: NORMS }),
    rule('norm-statistics', 'norms give their result alone', norm, oneOutput, { ops: NORMS }),
    rule('norm-stash', 'stash_type is float', norm, intIs('stash_type', 1), {
      ops: 'LayerNormalization GroupNormalization',
    }),
    rule(
      'clip-bounds',
      'bounds of Clip are constant, and not the same',
      `${IMPL}/clip_op_builder.cc`,
      boundsApart,
      {
        ops: 'Clip',
      },
    ),
    rule('pow-types', 'base and exponent have one type', `${IMPL}/binary_op_builder.cc`, sameTypes, {
      ops: 'Pow',
    }),
    rule('prelu-rank', 'PRelu over 3 or 4 axes', `${IMPL}/activation_op_builder.cc`, dataRank(3, 4), {
      ops: 'PRelu',
    }),
    rule(
      'prelu-slope',
      'the slope of PRelu is constant: one, or one a channel',
      `${IMPL}/activation_op_builder.cc`,
      every(fixedAtLoad(1, 'its slope'), slope),
      { ops: 'PRelu' },
    ),
    rule(
      'argmax-first',
      'ArgMax gives the first of equals',
      `${IMPL}/argmax_op_builder.cc`,
      intIs('select_last_index', 0),
      {
        ops: 'ArgMax',
      },
    ),
    rule(
      'reduce-axes',
      'axes of reductions are constant',
      `${IMPL}/reduction_op_builder.cc`,
      fixedAtLoad(1, 'axes'),
      {
        ops: 'ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum',
      },
    ),
    rule(
      'logic-types',
      'logic is on booleans',
      `${IMPL}/logical_op_builder.cc`,
      every(inputIs(0, 'bool'), inputIs(1, 'bool')),
      { ops: 'And' },
    ),
  ];
};
