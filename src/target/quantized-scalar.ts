/** What a QuantizeLinear or DequantizeLinear says, where it is one scale and one zero point for the whole tensor. */
import { constantNumbers, constantOf } from '../ir/constant.js';
import type { Node, Value } from '../ir/graph.js';
import { isQuantizedType, typeBounds } from '../quant/affine.js';
import { unpack } from '../quant/pack.js';
import { zeroPointType } from './zero-point-type.js';

export interface ScalarQuantization {
  readonly scale: number;
  readonly zeroPoint: number;
  /** Least and largest integer of its type. */
  readonly least: number;
  readonly most: number;
}

/** @param node QuantizeLinear or DequantizeLinear. @returns undefined where it is not constant, or not per tensor */
export function scalarQuantization(node: Node): ScalarQuantization | undefined {
  const type = zeroPointType(node);
  const scales = constantNumbers(node.inputs[1]);
  const points = zeroPointsOf(node);
  if (type === undefined || scales?.length !== 1 || points?.length !== 1) return undefined;
  const bounds = isQuantizedType(type)
    ? typeBounds(type)
    : { min: Number.NEGATIVE_INFINITY, max: Number.POSITIVE_INFINITY };
  return { scale: scales[0]!, zeroPoint: points[0]!, least: bounds.min, most: bounds.max };
}

/**
 * The zero points of a QuantizeLinear or DequantizeLinear, of integers of any width: one 0 where it names none.
 * @returns undefined where they are computed
 */
export const zeroPointsOf = (node: Node): readonly number[] | undefined =>
  node.inputs[2] === undefined ? [0] : integersOf(node.inputs[2]);

/** The elements of a small constant of integers, those of 2 and 4 bits unpacked; undefined for what is computed. */
export function integersOf(value: Value): readonly number[] | undefined {
  const tensor = constantOf(value);
  const packed = /^u?int([24])$/.exec(tensor?.dtype ?? '');
  if (tensor === undefined || packed === null) return constantNumbers(value);
  const bits = packed[1] === '4' ? 4 : 2;
  return Array.from(unpack(tensor.bytes(), tensor.count, bits, !tensor.dtype.startsWith('u')));
}
