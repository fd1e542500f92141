/** XNNPACK: convolutions, pools and Resize, in float and in integers. */
import type { ProviderRule } from '../src/index.js';
import {
  type Check,
  dataRank,
  dividesSize,
  every,
  fixedInput,
  floatIs,
  intIs,
  intsAre,
  isFixed,
  isQuantized,
  numbersAt,
  oneOutput,
  type rulesOf,
  seenAt,
  seenFrom,
  sizesOf,
  stringIs,
} from './provider-conditions.js';

/** All but the batch are numbers. */
const knownImage: Check = (unit) => {
  const shape = unit.node.inputs[0]?.shape;
  if (shape === undefined) return 'the shape of its input is unknown';
  const open = shape.slice(1).find((dim) => typeof dim !== 'number');
  return open === undefined || `its input is [${shape.map((dim) => dim ?? '?').join(', ')}]`;
};

const padding: Check = (unit) =>
  unit.node.ints('pads') !== undefined ||
  stringIs('auto_pad', 'NOTSET', 'NOTSET', 'VALID', 'SAME_UPPER')(unit);

/** Number of scales of the weight. */
const weightScales = (unit: Parameters<Check>[0]): number =>
  (sizesOf(unit.dequantizes[1]?.inputs[1]) ?? []).reduce((product, size) => product * size, 1);

const productTypes: Check = (unit) => {
  const [x, w, y] = [seenAt(unit, 0)?.dtype, seenAt(unit, 1)?.dtype, seenFrom(unit, 0)?.dtype];
  if (!isQuantized(unit)) return x === 'float' || x === 'float16' || `its input is ${x}`;
  if (x === 'int8' && w === 'int8' && y === 'int8') return true;
  if (x !== 'uint8' || w !== 'uint8' || y !== 'uint8') return `${x} × ${w} → ${y}`;
  return weightScales(unit) === 1 || 'uint8 weights with a scale a filter';
};

const evenWeight: Check = (unit) => {
  const dequantize = unit.dequantizes[1];
  if (dequantize === undefined || weightScales(unit) === 1) return true;
  const points = dequantize.inputs[2] === undefined ? [0] : numbersAt(dequantize, 2);
  return (points?.every((each) => each === 0) ?? false) || 'its weight has scales a filter and zero points';
};

const constantScales: Check = ({ dequantizes, quantizes }) => {
  for (const each of [...dequantizes.slice(0, 2), ...quantizes])
    for (const parameter of each?.inputs.slice(1, 3) ?? [])
      if (parameter !== undefined && !isFixed(parameter)) return `${parameter.name} is computed`;
  return true;
};

const window: Check = ({ node }) => {
  const kernel = node.ints('kernel_shape', []);
  if (kernel.length !== 2) return `its windows have ${kernel.length} axes`;
  return kernel.some((size) => size !== 1) || 'its windows are single elements';
};

const sameBytes: Check = (unit) => {
  const [x, y] = [seenAt(unit, 0)?.dtype, seenFrom(unit, 0)?.dtype];
  if (!isQuantized(unit))
    return ['float', 'float16', 'uint8', 'int8'].includes(x ?? '') || `its input is ${x}`;
  return (x === y && (x === 'uint8' || x === 'int8')) || `${x} → ${y}`;
};

const floatAverages: Check = (unit) =>
  !isQuantized(unit) || 'averages of integers were switched off, since they are wrong';

const resizedImage: Check = ({ node }) => {
  const from = sizesOf(node.inputs[0]);
  if (from === undefined) return 'its sizes are unknown';
  const scales = node.inputs[2] ? numbersAt(node, 2) : undefined;
  const sizes = node.inputs[3] ? numbersAt(node, 3) : undefined;
  if (scales === undefined && sizes === undefined) return 'neither scales nor sizes are constant';
  if (sizes && sizes[1] !== from[1]) return `it makes ${sizes[1]} channels of ${from[1]}`;
  if (scales === undefined || scales.length === 0) return true;
  if (scales[1] !== 1) return `it scales channels by ${scales[1]}`;
  const [height, width] = scales.slice(2) as [number, number];
  if (height >= 1 && width >= 1) return true;
  return (
    (dividesSize(from[2], height) && dividesSize(from[3], width)) || `it scales [${from}] by [${scales}]`
  );
};

const resizeForm: Check = (unit) => {
  const { node } = unit;
  const form = node.string('coordinate_transformation_mode', 'half_pixel');
  if (['asymmetric', 'half_pixel', 'align_corners'].includes(form)) return true;
  const last = sizesOf(node.outputs[0])?.slice(2);
  const alike = form === 'pytorch_half_pixel' && (last?.every((size) => size > 1) ?? false);
  return alike || `coordinate_transformation_mode is ${form}`;
};

const conv = { ops: 'Conv ConvTranspose' };
const POOLS = 'MaxPool AveragePool';

export const xnnpackImageRules = (rule: ReturnType<typeof rulesOf>): readonly ProviderRule[] => [
  rule('conv-rank', 'convolutions are over one or two axes', 'nn/conv_base.cc', dataRank(3, 4), conv),
  rule('image-size', 'all sizes but the batch are numbers', 'nn/conv_base.cc', knownImage, {
    ops: `${conv.ops} ${POOLS}`,
    mend: '--dim',
  }),
  rule(
    'conv-constant',
    'weight and bias are constant',
    'nn/conv_base.cc',
    every(fixedInput(1, 'its weight'), fixedInput(2, 'its bias')),
    conv,
  ),
  rule('padding', 'pads, or auto_pad VALID or SAME_UPPER', 'detail/utils.cc', padding, {
    ops: `${conv.ops} ${POOLS}`,
  }),
  rule(
    'product-types',
    'int8 × int8, or uint8 × uint8 with one scale a tensor; never uint8 × int8',
    'nn/conv_base.cc',
    productTypes,
    conv,
  ),
  rule(
    'symmetric-weights',
    'weights with a scale a filter have zero points of 0',
    'detail/utils.cc',
    evenWeight,
    conv,
  ),
  rule('constant-scales', 'scales and zero points are constant', 'detail/utils.cc', constantScales),
  rule(
    'conv-transpose-one-scale',
    'the weight of ConvTranspose has one scale',
    'nn/conv_base.cc',
    (unit) => unit.dequantizes[1] === undefined || weightScales(unit) === 1 || 'a scale a filter',
    { ops: 'ConvTranspose' },
  ),
  rule(
    'pool-window',
    'pools are over two axes, and more than one element',
    'nn/max_pool.cc',
    every(dataRank(4), window),
    {
      ops: POOLS,
    },
  ),
  rule('pool-ceiling', 'no window hangs over the edge', 'nn/max_pool.cc', intIs('ceil_mode', 0), {
    ops: POOLS,
  }),
  rule('pool-indices', 'MaxPool gives no indices', 'nn/max_pool.cc', oneOutput, { ops: 'MaxPool' }),
  rule('pool-types', 'MaxPool keeps its type', 'nn/max_pool.cc', sameBytes, { ops: 'MaxPool' }),
  rule('average-types', 'AveragePool is float', 'nn/average_pool.cc', floatAverages, { ops: 'AveragePool' }),
  rule(
    'average-plain',
    'averages leave padding out, and windows have no gaps',
    'nn/average_pool.cc',
    every(intIs('count_include_pad', 0), intsAre('dilations', 1)),
    { ops: 'AveragePool' },
  ),
  rule('resize-rank', 'Resize of images', 'tensor/resize.cc', dataRank(4), { ops: 'Resize' }),
  rule('resize-mode', 'Resize is linear', 'tensor/resize.cc', stringIs('mode', 'nearest', 'linear'), {
    ops: 'Resize',
  }),
  rule(
    'resize-axes',
    'Resize keeps channels, by constant scales or sizes',
    'tensor/resize.cc',
    resizedImage,
    {
      ops: 'Resize',
    },
  ),
  rule('resize-coordinates', 'half_pixel, align_corners or asymmetric', 'tensor/resize.cc', resizeForm, {
    ops: 'Resize',
  }),
  rule(
    'resize-plain',
    'no antialias, exclude_outside, axes, extrapolation or kept proportions',
    'tensor/resize.cc',
    every(
      intIs('antialias', 0),
      intIs('exclude_outside', 0),
      floatIs('extrapolation_value', 0),
      ({ node }) => node.ints('axes', []).length === 0 || 'axes are said',
      stringIs('keep_aspect_ratio_policy', 'stretch', 'stretch'),
    ),
    { ops: 'Resize' },
  ),
];
