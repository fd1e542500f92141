import {
  constantNumbers,
  createNode,
  type Node,
  setAttribute,
  setInput,
  setInputs,
  setOperator,
  Tensor,
  tensorType,
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

/** Resize's scales where they are known before the run; Upsample's never shrink, so that they need not be. */
const knownScales = (node: Node): number[] | undefined =>
  node.opType === 'Upsample' ? [] : constantNumbers(node.inputs[1]);

/**
 * Resize 11 states what 10 left open: positions are scaled from the corner (`asymmetric`). For the nearest element ONNX
 * Runtime's Resize 10 takes the one below on axes that grow and the one above on axes that shrink, so where both occur
 * the node grows first and then shrinks. Scales that only the run knows leave the choice open.
 */
export const cornerCoordinates: Adapter = {
  refuse(node) {
    const bound = boundByCaller(node, 'mode');
    if (bound !== undefined || node.string('mode', 'nearest') !== 'nearest') return bound;
    return knownScales(node) === undefined
      ? 'its scales do not tell which element is the nearest'
      : undefined;
  },
  apply(node, scope) {
    const [data, scales] = node.inputs;
    const nearest = node.string('mode', 'nearest') === 'nearest';
    const known = (nearest && constantNumbers(scales)) || [];
    const shrinks = known.some((scale) => scale < 1);
    setAttribute(node, 'coordinate_transformation_mode', 'asymmetric');
    if (nearest) setAttribute(node, 'nearest_mode', shrinks ? 'ceil' : 'floor');
    setInputs(node, [data, undefined, scales]);
    if (!shrinks || !known.some((scale) => scale > 1)) return;
    const only = (keep: (scale: number) => boolean) =>
      constant(node, scope, Tensor.floats(known.map((scale) => (keep(scale) ? scale : 1))), 'scales');
    const grown = createNode(
      { before: node },
      {
        opType: 'Resize',
        inputs: [data, undefined, only((scale) => scale > 1)],
        attributes: { coordinate_transformation_mode: 'asymmetric', mode: 'nearest', nearest_mode: 'floor' },
        outputs: [{ name: `${data!.name}_grown`, type: data!.dtype && tensorType(data!.dtype) }],
      },
    );
    setInputs(node, [grown.outputs[0], undefined, only((scale) => scale < 1)]);
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
