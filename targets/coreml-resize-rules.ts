/** Core ML: what its resizing operators can express of Resize. */
import type { ProviderRule } from '../src/index.js';
import {
  type Check,
  dataRank,
  dividesSize,
  every,
  intIs,
  numbersAt,
  type rulesOf,
  sizesOf,
  stringIs,
} from './provider-conditions.js';

const SOURCE = 'builders/impl/resize_op_builder.cc';

const bySizes = (node: Parameters<Check>[0]['node']): boolean => node.inputs[3] !== undefined;

const constantSizes: Check = ({ node }) => {
  if (bySizes(node)) return numbersAt(node, 3) !== undefined || 'its sizes are computed';
  if (node.inputs[2] === undefined) return 'it has neither scales nor sizes';
  return numbersAt(node, 2) !== undefined || 'its scales are computed';
};

/** Scales of the last two axes and of those before, from scales alone. */
function scalesOf(node: Parameters<Check>[0]['node']) {
  const sizes = sizesOf(node.inputs[0]);
  const scales = bySizes(node) ? undefined : numbersAt(node, 2);
  if (sizes === undefined || scales === undefined) return undefined;
  const named = node.ints('axes', []).map((axis) => (axis < 0 ? axis + sizes.length : axis));
  const axes = named.length === 0 ? sizes.map((_, axis) => axis) : named;
  return { sizes, scales, axes };
}

const lastTwoAxes: Check = ({ node }) => {
  const from = sizesOf(node.inputs[0]);
  const to = sizesOf(node.outputs[0]);
  if (from === undefined || to === undefined) return 'its sizes are unknown';
  const axis = from.findIndex((size, at) => at < from.length - 2 && size !== to[at]);
  return axis < 0 || `it resizes axis ${axis}`;
};

const wholeScales: Check = ({ node }) => {
  const found = scalesOf(node);
  if (found === undefined) return true;
  const { sizes, scales } = found;
  const [height, width] = scales.slice(-2) as [number, number];
  if (height >= 1 && width >= 1)
    return (Number.isInteger(height) && Number.isInteger(width)) || `it scales by ${height} and ${width}`;
  if (height > 1 || width > 1) return 'it grows along one axis and shrinks along the other';
  const [rows, columns] = sizes.slice(-2);
  return (
    (dividesSize(rows, height) && dividesSize(columns, width)) ||
    `${height} of ${rows}, ${width} of ${columns}`
  );
};

const nearestByFloor: Check = ({ node }) => {
  if (node.string('mode', 'nearest') !== 'nearest') return true;
  const rounding = node.string('nearest_mode', 'round_prefer_floor');
  if (rounding !== 'floor') return `nearest_mode is ${rounding}`;
  const coordinates = node.string('coordinate_transformation_mode', 'half_pixel');
  return coordinates === 'asymmetric' || `coordinate_transformation_mode is ${coordinates}`;
};

const linearCoordinates: Check = ({ node }) => {
  if (node.string('mode', 'nearest') !== 'linear') return true;
  const coordinates = node.string('coordinate_transformation_mode', 'half_pixel');
  if (coordinates === 'half_pixel' || coordinates === 'align_corners') return true;
  if (coordinates === 'asymmetric' && bySizes(node)) return true;
  const last = sizesOf(node.outputs[0])?.slice(-2);
  // It differs from half_pixel where one row or column comes out.
  if (coordinates === 'pytorch_half_pixel' && last?.every((size) => size > 1)) return true;
  return `coordinate_transformation_mode is ${coordinates}`;
};

export const coremlResizeRules = (rule: ReturnType<typeof rulesOf>): readonly ProviderRule[] => {
  const ops = { ops: 'Resize' };
  return [
    rule('resize-rank', 'Resize of 3 to 5 axes', SOURCE, dataRank(3, 4, 5), ops),
    rule(
      'resize-mode',
      'Resize is linear, or takes the nearest',
      SOURCE,
      stringIs('mode', 'nearest', 'nearest', 'linear'),
      ops,
    ),
    rule('resize-nearest', 'the nearest is found by rounding down, asymmetrically', SOURCE, nearestByFloor, {
      ...ops,
      mend: 'lower-resize',
    }),
    rule(
      'resize-coordinates',
      'linear by half_pixel, align_corners, or asymmetric sizes',
      SOURCE,
      linearCoordinates,
      ops,
    ),
    rule('resize-constant', 'sizes or scales of Resize are constant', SOURCE, constantSizes, ops),
    rule('resize-axes', 'Resize along the last two axes', SOURCE, lastTwoAxes, ops),
    rule(
      'resize-scales',
      'scales are whole numbers, or parts that a size divides by',
      SOURCE,
      wholeScales,
      ops,
    ),
    rule(
      'resize-plain',
      'no antialias, exclude_outside or kept proportions',
      SOURCE,
      every(
        intIs('antialias', 0),
        intIs('exclude_outside', 0),
        stringIs('keep_aspect_ratio_policy', 'stretch', 'stretch'),
      ),
      ops,
    ),
  ];
};
