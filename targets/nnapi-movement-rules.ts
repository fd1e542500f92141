/** NNAPI: what moves, picks, shapes and converts data. */
import type { ProviderRule } from '../src/index.js';
import {
  type Check,
  dataRank,
  dividesSize,
  every,
  fixedInput,
  intIs,
  isFixed,
  numbersAt,
  padsNothingOff,
  type rulesOf,
  sizesOf,
  stringIs,
} from './provider-conditions.js';

const IMPL = 'builders/impl';

const castTo: Check = ({ node }) => {
  const to = node.outputs[0]?.dtype;
  return to === 'float' || to === 'int32' || `it makes ${to}`;
};

const indices: Check = (unit) =>
  unit.node.inputs[1]?.dtype === 'int32' || fixedInput(1, 'its int64 index')(unit);

const notEmpty: Check = ({ node }) =>
  !(sizesOf(node.inputs[0])?.includes(0) ?? false) || 'its input is empty';

const newShape: Check = ({ node }) => {
  const shape = numbersAt(node, 1);
  if (shape === undefined) return isFixed(node.inputs[1]) || 'its shape is computed';
  return node.int('allowzero', 0) === 0 || !shape.includes(0) || 'it makes a size of 0';
};

const evenParts: Check = ({ node }) => {
  const sizes = node.inputs[1] ? numbersAt(node, 1) : undefined;
  if (node.inputs[1] && sizes === undefined) return 'its split is computed';
  if (sizes) return sizes.every((size) => size === sizes[0]) || `its parts are ${sizes.join(', ')}`;
  const shape = sizesOf(node.inputs[0]);
  if (shape === undefined) return 'its sizes are unknown';
  const axis = node.int('axis', 0);
  const size = shape.at(axis)!;
  const count = node.int('num_outputs', node.outputs.length);
  return size % count === 0 || `${size} does not divide by ${count}`;
};

const coordinates: Check = ({ node }) => {
  const form = node.string('coordinate_transformation_mode', 'half_pixel');
  if (node.string('mode', 'nearest') === 'linear')
    return (
      ['half_pixel', 'align_corners', 'asymmetric'].includes(form) ||
      `coordinate_transformation_mode is ${form}`
    );
  if (form !== 'asymmetric') return `coordinate_transformation_mode is ${form}`;
  const rounding = node.string('nearest_mode', 'round_prefer_floor');
  return rounding === 'floor' || `nearest_mode is ${rounding}`;
};

const resizedAxes: Check = ({ node }) => {
  const from = sizesOf(node.inputs[0]);
  if (from === undefined || from.length !== 4) return true;
  if (node.inputs[2] !== undefined) {
    const scales = numbersAt(node, 2);
    if (scales === undefined) return 'its scales are computed';
    if (scales[0] !== 1 || scales[1] !== 1) return `it scales batch or channels: [${scales}]`;
    const [height, width] = scales.slice(2) as [number, number];
    if (height >= 1 && width >= 1) return true;
    return (dividesSize(from[2], height) && dividesSize(from[3], width)) || `it scales ${from} by ${scales}`;
  }
  if (node.inputs[3] === undefined) return 'it has neither scales nor sizes';
  const sizes = numbersAt(node, 3);
  if (sizes === undefined) return 'its sizes are computed';
  return (sizes[0] === from[0] && sizes[1] === from[1]) || `it makes [${sizes}] of [${from}]`;
};

const absentAxes: Check = ({ node }) => (node.ints('axes', []).length === 0 ? true : 'axes are said');

export const nnapiMovementRules = (rule: ReturnType<typeof rulesOf>): readonly ProviderRule[] => {
  const at = (name: string): string => `${IMPL}/${name}_op_builder.cc`;
  return [
    rule('cast-types', 'Cast to float or int32', at('cast'), castTo, { ops: 'Cast' }),
    rule(
      'depth-to-space',
      'DepthToSpace of images, depth first',
      at('depthtospace'),
      every(dataRank(4), stringIs('mode', 'DCR', 'DCR')),
      {
        ops: 'DepthToSpace',
      },
    ),
    rule('gather-index', 'indices of Gather are constant, or int32', at('gather'), indices, {
      ops: 'Gather',
    }),
    rule('not-empty', 'what is gathered, padded or sliced is not empty', at('gather'), notEmpty, {
      ops: 'Gather Pad Slice',
    }),
    rule(
      'pad-constant',
      'Pad adds a constant by constant pads',
      at('pad'),
      every(stringIs('mode', 'constant', 'constant'), padsNothingOff, fixedInput(2, 'what it pads with')),
      { ops: 'Pad' },
    ),
    rule('reshape-constant', 'the shape of Reshape is constant', at('reshape'), newShape, {
      ops: 'Reshape',
      mend: 'shape-targets',
    }),
    rule('resize-rank', 'Resize of images', at('resize'), dataRank(4), { ops: 'Resize' }),
    rule(
      'resize-mode',
      'Resize is linear, or takes the nearest',
      at('resize'),
      stringIs('mode', 'nearest', 'nearest', 'linear'),
      {
        ops: 'Resize',
      },
    ),
    rule(
      'resize-coordinates',
      'linear by half_pixel, align_corners or asymmetric; nearest asymmetric, rounded down',
      at('resize'),
      coordinates,
      {
        ops: 'Resize',
        mend: 'lower-resize',
      },
    ),
    rule(
      'resize-axes',
      'Resize keeps batch and channels, by constant scales or sizes',
      at('resize'),
      resizedAxes,
      {
        ops: 'Resize',
      },
    ),
    rule(
      'resize-plain',
      'no antialias, exclude_outside, axes or kept proportions',
      at('resize'),
      every(
        intIs('antialias', 0),
        intIs('exclude_outside', 0),
        absentAxes,
        stringIs('keep_aspect_ratio_policy', 'stretch', 'stretch'),
      ),
      { ops: 'Resize' },
    ),
    rule(
      'slice-constant',
      'starts, ends, axes and steps of Slice are constant',
      at('slice'),
      every(fixedInput(1, 'starts'), fixedInput(2, 'ends'), fixedInput(3, 'axes'), fixedInput(4, 'steps')),
      { ops: 'Slice' },
    ),
    rule('split-even', 'Split into equal parts, by constant sizes', at('split'), evenParts, {
      ops: 'Split',
      mend: 'lower-indexing',
    }),
    rule(
      'squeeze-constant',
      'axes of Squeeze and Unsqueeze are constant',
      at('squeeze'),
      fixedInput(1, 'axes'),
      {
        ops: 'Squeeze Unsqueeze',
      },
    ),
  ];
};
