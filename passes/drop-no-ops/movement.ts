/** Movements of data that move nothing: the output is the input, element for element. */
import {
  axisFromFront,
  constantNumbers,
  type Node,
  sameShape,
  sameShapeByCount,
  uniformNumber,
  type Value,
} from '../../src/index.js';
import { signOfZeroIsFree } from './arithmetic.js';
import { inputIf, type Rule, type Rules } from './rule.js';

/** Ends at or beyond this mean "to the end": ONNX says so of the largest number of the index dtype. */
const TO_THE_END = 2 ** 31 - 1;

/** Element count and order stay, so that equal shapes mean equal values. */
const sameElements: Rule = (node) => {
  const input = node.inputs[0];
  return inputIf(node, input !== undefined && sameShapeByCount(input, node.outputs[0]!));
};

const samePlaces: Rule = (node) => {
  const input = node.inputs[0];
  return inputIf(node, input !== undefined && sameShape(input, node.outputs[0]!));
};

/** `Transpose` that leaves every axis longer than 1 in order, and the shape as it was. */
const transpose: Rule = (node) => {
  const input = node.inputs[0];
  const shape = input?.shape;
  const perm = node.ints('perm') ?? shape?.map((_, axis) => shape.length - 1 - axis);
  if (perm === undefined) return undefined;
  if (perm.every((axis, index) => axis === index)) return input;
  const long = perm.filter((axis) => shape?.[axis] !== 1);
  const inOrder = long.every((axis, index) => index === 0 || axis > long[index - 1]!);
  return inputIf(node, inOrder && sameShape(input!, node.outputs[0]!));
};

const pad: Rule = (node, opset) => {
  const pads = opset >= 11 ? constantNumbers(node.inputs[1]) : node.ints('pads');
  return inputIf(
    node,
    pads?.every((amount) => amount === 0),
  );
};

/** `Slice` that starts at the first element, steps by one and ends with the last, along every axis that it names. */
const slice: Rule = (node, opset) => {
  const input = node.inputs[0];
  const read = (index: number, name: string): number[] | undefined =>
    opset >= 10 ? constantNumbers(node.inputs[index]) : node.ints(name);
  const starts = read(1, 'starts');
  const ends = read(2, 'ends');
  if (starts === undefined || ends === undefined || starts.length !== ends.length) return undefined;
  const axes = (opset >= 10 ? node.inputs[3] !== undefined : node.ints('axes') !== undefined)
    ? read(3, 'axes')
    : starts.map((_, axis) => axis);
  if (axes === undefined) return undefined;
  if (opset >= 10 && node.inputs[4] !== undefined && uniformNumber(node.inputs[4]) !== 1) return undefined;
  return inputIf(
    node,
    axes.every((named, index) => {
      const axis = axisFromFront(named, input?.shape?.length);
      const size = axis === undefined ? undefined : input?.shape?.[axis];
      const length = typeof size === 'number' && size >= 0 ? size : undefined;
      const fromStart = starts[index] === 0 || (length !== undefined && starts[index]! <= -length);
      return fromStart && (ends[index]! >= TO_THE_END || (length !== undefined && ends[index]! >= length));
    }),
  );
};

/** A target of ones stretches nothing, as long as it does not add axes. */
const expand: Rule = (node) => {
  const input = node.inputs[0];
  const target = constantNumbers(node.inputs[1]);
  const rank = input?.shape?.length;
  if (
    target !== undefined &&
    rank !== undefined &&
    target.length <= rank &&
    target.every((size) => size === 1)
  )
    return input;
  return samePlaces(node, 0);
};

const tile: Rule = (node) => {
  const repeats = constantNumbers(node.inputs[1]);
  return inputIf(
    node,
    repeats?.every((count) => count === 1),
  );
};

const whole: Rule = (node) => inputIf(node, node.outputs.length === 1);
const alone: Rule = (node) => inputIf(node, node.inputs.length === 1);
const blockOfOne: Rule = (node) => inputIf(node, node.int('blocksize') === 1);

/** All scales are one: every coordinate transformation but the crop maps each place onto itself. */
const resize: Rule = (node, opset) => {
  if (node.string('coordinate_transformation_mode') === 'tf_crop_and_resize') return undefined;
  const scales =
    node.opType === 'Upsample' && opset < 9
      ? node.floats('scales')
      : constantNumbers(node.inputs[node.opType === 'Upsample' || opset < 11 ? 1 : 2]);
  return inputIf(node, scales !== undefined && scales.length > 0 && scales.every((scale) => scale === 1));
};

/** A window of one element, moved by one, over nothing but the input. */
const pool: Rule = (node) => {
  const kernel = node.ints('kernel_shape');
  const plain =
    kernel?.every((size) => size === 1) &&
    node.ints('strides', []).every((stride) => stride === 1) &&
    node.ints('pads', []).every((amount) => amount === 0);
  const exact = node.opType === 'MaxPool' || signOfZeroIsFree(node);
  return inputIf(node, plain && exact && node.outputs.slice(1).every(isUnread));
};

/** The mean, or the greatest, of one element: all spatial sizes are 1. */
const globalPool: Rule = (node) => {
  const shape = node.inputs[0]?.shape;
  const exact = node.opType === 'GlobalMaxPool' || signOfZeroIsFree(node);
  return inputIf(node, exact && shape?.slice(2).every((size) => size === 1));
};

export const isUnread = (output: Value): boolean =>
  output.isOmitted || (output.uses.length === 0 && !output.isOutput);

/** Axes that a reduction names, by attribute or input; [] when it names none; undefined when they are computed. */
export function reducedAxes(node: Node, opset: number): number[] | undefined {
  const asInput = opset >= 18 || (node.opType === 'ReduceSum' && opset >= 13);
  if (!asInput) return node.ints('axes', []);
  return node.inputs[1] === undefined ? [] : constantNumbers(node.inputs[1]);
}

export const movement: Rules = {
  Reshape: sameElements,
  Flatten: sameElements,
  Squeeze: sameElements,
  Unsqueeze: sameElements,
  Transpose: transpose,
  Pad: pad,
  Slice: slice,
  Concat: alone,
  Split: whole,
  Expand: expand,
  Tile: tile,
  DepthToSpace: blockOfOne,
  SpaceToDepth: blockOfOne,
  Resize: resize,
  Upsample: resize,
  MaxPool: pool,
  AveragePool: pool,
  GlobalAveragePool: globalPool,
  GlobalMaxPool: globalPool,
};
