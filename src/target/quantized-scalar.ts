/** What a QuantizeLinear or DequantizeLinear says, where it is one scale and one zero point for the whole tensor. */
import type { Node } from '../ir/graph.js';
import { isQuantizedType, typeBounds } from '../quant/affine.js';
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
  const [, scale, zeroPoint] = node.inputs;
  const type = zeroPointType(node);
  if (type === undefined || scale?.isConstant !== true || scale.constant!.count !== 1) return undefined;
  if (zeroPoint !== undefined && (!zeroPoint.isConstant || zeroPoint.constant!.count !== 1)) return undefined;
  const bounds = isQuantizedType(type)
    ? typeBounds(type)
    : { min: Number.NEGATIVE_INFINITY, max: Number.POSITIVE_INFINITY };
  return {
    scale: scale.constant!.toNumbers()[0]!,
    zeroPoint: zeroPoint?.constant?.toNumbers()[0] ?? 0,
    least: bounds.min,
    most: bounds.max,
  };
}
