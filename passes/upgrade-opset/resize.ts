import {
  constantNumbers,
  type Node,
  setAttribute,
  setInput,
  setInputs,
  setOperator,
  Tensor,
} from '../../src/index.js';
import { constant } from './operands.js';
import { type Adapter, boundByCaller } from './step.js';

/** Upsample 7: two scales of a picture become a list of one scale a dimension. */
export const pictureScales: Adapter = {
  refuse: (node) => boundByCaller(node, 'height_scale', 'width_scale'),
  apply(node) {
    const scales = [1, 1, node.float('height_scale', 1), node.float('width_scale', 1)];
    setAttribute(node, 'height_scale', undefined);
    setAttribute(node, 'width_scale', undefined);
    setAttribute(node, 'scales', { kind: 'floats', value: scales });
    // Version 1 calls the linear mode after its rank.
    if (node.string('mode') === 'bilinear') setAttribute(node, 'mode', 'linear');
  },
};

/** Upsample 9: the list of scales becomes an input. */
export const scalesInput: Adapter = {
  refuse: (node) => boundByCaller(node, 'scales'),
  apply(node, scope) {
    const scales = node.floats('scales') ?? [];
    setAttribute(node, 'scales', undefined);
    setInput(node, 1, constant(node, scope, Tensor.floats(scales), 'scales'));
  },
};

/** Upsample ends at 10; Resize 10 is the same, and may shrink as well. */
export const upsampleIsResize: Adapter = { becomes: 'Resize', apply: (node) => setOperator(node, 'Resize') };

const shrinks = (node: Node): boolean | undefined => {
  if (node.opType === 'Upsample') return false;
  const values = constantNumbers(node.inputs[1]);
  if (values === undefined) return undefined;
  const some = values.some((scale) => scale < 1);
  return some && values.some((scale) => scale > 1) ? undefined : some;
};

/**
 * Resize 11 states what 10 left open: positions are scaled from the corner (`asymmetric`), and the nearest element is
 * the one below. Where the picture shrinks, ONNX Runtime's Resize 10 takes the one above, and so do we; scales that
 * only the run knows, or that grow one axis and shrink another, leave that choice open.
 */
export const cornerCoordinates: Adapter = {
  refuse(node) {
    const bound = boundByCaller(node, 'mode');
    if (bound !== undefined || node.string('mode', 'nearest') !== 'nearest') return bound;
    return shrinks(node) === undefined ? 'its scales do not tell which element is the nearest' : undefined;
  },
  apply(node) {
    setAttribute(node, 'coordinate_transformation_mode', 'asymmetric');
    if (node.string('mode', 'nearest') === 'nearest')
      setAttribute(node, 'nearest_mode', shrinks(node) ? 'ceil' : 'floor');
    setInputs(node, [node.inputs[0], undefined, node.inputs[1]]);
  },
};

/**
 * Resize 13 drops `tf_half_pixel_for_nn`, x = (i + ½) / scale. With the element below, floor(x) is what `half_pixel`
 * rounded half up gives: ⌊(i + ½) / scale − ½ + ½⌋. Empty tensors for roi and scales become omitted inputs.
 */
export const omittedResizeInputs: Adapter = {
  refuse(node) {
    const bound = boundByCaller(node, 'coordinate_transformation_mode', 'nearest_mode', 'mode');
    if (bound !== undefined || !halfPixelForNearest(node)) return bound;
    const floors = node.string('nearest_mode') === 'floor' && node.string('mode', 'nearest') === 'nearest';
    return floors ? undefined : 'tf_half_pixel_for_nn has no counterpart for this rounding';
  },
  apply(node) {
    if (halfPixelForNearest(node)) {
      setAttribute(node, 'coordinate_transformation_mode', 'half_pixel');
      setAttribute(node, 'nearest_mode', 'round_prefer_ceil');
    }
    const crops = node.string('coordinate_transformation_mode') === 'tf_crop_and_resize';
    if (!crops && node.inputs[1] !== undefined) setInput(node, 1, undefined);
    if (node.inputs[3] !== undefined) setInput(node, 2, undefined);
  },
};

const halfPixelForNearest = (node: Node): boolean =>
  node.string('coordinate_transformation_mode') === 'tf_half_pixel_for_nn';
