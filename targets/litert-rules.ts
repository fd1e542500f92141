/**
 * What becomes an operator of a `.tflite` file, as `src/tflite` converts graphs: LiteRT's delegates take such files whole or
 * in pieces, each by its own lists, but none takes what the format cannot say.
 */
import {
  type Node,
  type NodeUnit,
  type ProviderTable,
  tfliteForm,
  tfliteOperators,
  type Value,
} from '../src/index.js';
import {
  type Check,
  clipBounds,
  every,
  floatIs,
  intIs,
  isFixed,
  numbersAt,
  rulesOf,
  seenAt,
  sizesOf,
  staticInputs,
  stringIs,
} from './provider-conditions.js';

const FORMAT = 'tensorflow/compiler/mlir/lite/schema/schema.fbs';
const SPECIFICATION = 'ai.google.dev/edge/litert/models/quantization_spec';
const rule = rulesOf('litert', 'LiteRT operator');
const grids = rulesOf('litert', SPECIFICATION);

/** A constant, or integers that a DequantizeLinear widens. */
const isGiven = ({ node, dequantizes }: NodeUnit, index: number): boolean =>
  isFixed(dequantizes[index]?.inputs[0] ?? node.inputs[index]);

const given =
  (what: string, ...indices: readonly number[]): Check =>
  (unit) => {
    const open = indices.find((index) => unit.node.inputs[index] !== undefined && !isGiven(unit, index));
    return open === undefined || `${what} (input ${open}) is computed`;
  };

const rankOf = (value: Value | undefined): number | undefined => value?.shape?.length;

/** Windows over one or two dimensions. */
const windows: Check = ({ node }) => {
  const rank = rankOf(node.inputs[0]);
  return rank === 3 || rank === 4 || `its input has ${rank ?? 'an unknown number of'} axes`;
};

const flat =
  (name: string): Check =>
  ({ node }) =>
    node.ints(name, []).every((each) => each === 1) || `${name} is [${node.ints(name)}]`;

const noIndices: Check = ({ node }) =>
  node.outputs.slice(1).every((output) => output.isOmitted || output.uses.length === 0) ||
  'its indices are read';

const evenMeans: Check = ({ node }) =>
  !(node.int('ceil_mode', 0) === 1 && node.int('count_include_pad', 0) === 1) ||
  'it rounds sizes up and counts what it pads';

const picture: Check = ({ node }) => {
  const [from, to] = [sizesOf(node.inputs[0]), sizesOf(node.outputs[0])];
  if (from === undefined || to === undefined) return 'its sizes are unknown';
  if (from.length !== 4) return `it resizes ${from.length} axes`;
  return (from[0] === to[0] && from[1] === to[1]) || 'it resizes the batch or the channels';
};

const constantBounds: Check = ({ node }) => clipBounds(node) !== undefined || 'its bounds are computed';

const grows: Check = ({ node }) =>
  (numbersAt(node, 1) ?? node.ints('pads', [])).every((each) => each >= 0) ||
  'it cuts off instead of padding';

const row: Check = (unit) => {
  const { node } = unit;
  const c = node.inputs[2];
  if (c === undefined) return true;
  const columns = node.outputs[0]?.shape?.at(-1);
  const shape = sizesOf(seenAt(unit, 2));
  const fits = shape?.every((dim, axis) => dim === 1 || (axis === shape.length - 1 && dim === columns));
  return fits === true || `C is [${shape ?? '?'}], not a row of ${columns}`;
};

/** Activations of 8 bits with one scale each. */
const bytes: Check = ({ dequantizes, quantizes }) => {
  const activations = dequantizes.filter((each) => each !== undefined && !isFixed(each.inputs[0]));
  for (const each of [...activations, ...quantizes]) {
    if (each === undefined) continue;
    const dtype = (each.is('QuantizeLinear') ? each.outputs[0] : each.inputs[0])?.dtype;
    if (dtype !== 'int8' && dtype !== 'uint8') return `it reads or gives ${dtype ?? 'an unknown type'}`;
    if ((rankOf(each.inputs[1]) ?? 0) > 0 && numbersAt(each, 1)?.length !== 1)
      return 'a scale has several entries';
  }
  return true;
};

/** Weights are int8 around zero. */
const symmetric: Check = ({ dequantizes }) => {
  const weight = dequantizes[1];
  if (weight === undefined) return true;
  const dtype = weight.inputs[0]?.dtype;
  if (dtype !== 'int8') return `its weight is ${dtype ?? 'of unknown type'}`;
  if (weight.int('block_size', 0) !== 0) return 'its weight has scales in blocks';
  return (
    (numbersAt(weight, 2) ?? []).every((zero) => zero === 0) || 'its weight has zero points other than 0'
  );
};

const QUANTIZERS = ['QuantizeLinear', 'DequantizeLinear'];
const isQuantizer = ({ opType }: Node): boolean => QUANTIZERS.includes(opType);
const PRODUCTS = { ops: 'Conv ConvTranspose Gemm' };

export const litert: ProviderTable = {
  provider: 'litert',
  operators: new Set([...tfliteOperators, ...QUANTIZERS]),
  source: FORMAT,
  readsUnits: true,
  rules: [
    rule('static-shapes', 'every size is a number', 'shapes', staticInputs, { mend: '--dim' }),
    rule(
      'constant-weights',
      'weights and biases are constants',
      'CONV_2D',
      given('a weight', 1, 2),
      PRODUCTS,
    ),
    rule('windows', 'windows over one or two dimensions', 'CONV_2D', windows, {
      ops: 'Conv AveragePool MaxPool',
    }),
    rule(
      'transposed-convolution',
      'two dimensions, no groups, no dilations',
      'TRANSPOSE_CONV',
      every(
        ({ node }) => rankOf(node.inputs[0]) === 4 || 'it has not two dimensions',
        intIs('group', 1),
        flat('dilations'),
      ),
      { ops: 'ConvTranspose' },
    ),
    rule('pool', 'no dilations, indices not read', 'MAX_POOL_2D', every(flat('dilations'), noIndices), {
      ops: 'AveragePool MaxPool',
    }),
    rule('even-means', 'sizes rounded up leave padding out of means', 'AVERAGE_POOL_2D', evenMeans, {
      ops: 'AveragePool',
    }),
    rule(
      'resize',
      'nearest or linear, of height and width',
      'RESIZE_BILINEAR',
      every(stringIs('mode', 'nearest', 'nearest', 'linear'), intIs('antialias', 0), picture),
      { ops: 'Resize Upsample' },
    ),
    rule(
      'pad',
      'constant or reflected, never negative',
      'PAD',
      every(stringIs('mode', 'constant', 'constant', 'reflect'), given('how far it pads', 1, 2, 3), grows),
      { ops: 'Pad' },
    ),
    rule(
      'constant-arguments',
      'shapes, axes, indices and bounds are constants',
      'RESHAPE',
      given('an argument', 1, 2, 3, 4),
      {
        ops: 'Reshape Squeeze Unsqueeze Slice Gather Split Resize Upsample ReduceMax ReduceMean ReduceMin ReduceSum',
      },
    ),
    rule('bounds', 'bounds of Clip are constants', 'MINIMUM', constantBounds, { ops: 'Clip' }),
    rule(
      'gemm',
      'alpha and beta are 1, C is a row',
      'FULLY_CONNECTED',
      every(floatIs('alpha', 1), floatIs('beta', 1), row),
      {
        ops: 'Gemm',
        mend: 'lower-gemm',
      },
    ),
    rule('elu', 'alpha is 1', 'ELU', floatIs('alpha', 1), { ops: 'Elu' }),
    rule('form', 'whatever else keeps a node from becoming operators of the format', 'schema', ({ node }) =>
      isQuantizer(node) ? true : tfliteForm(node),
    ),
    grids('bytes', 'activations are integers of 8 bits with one scale', 'general', bytes),
    grids('weights', 'weights are int8 with zero point 0', 'CONV_2D', symmetric, PRODUCTS),
  ],
};
