/** Reductions along axes that are known. */
import { refuse, shapeOf } from '../refusal.js';
import type { OperatorName } from '../schema.js';
import type { Lowering } from './lowering.js';
import { reduce } from './pool.js';
import { integersOf } from './weights.js';

const along =
  (op: OperatorName): Lowering['lower'] =>
  (unit, e) => {
    const { node } = unit;
    const rank = shapeOf(node.inputs[0]!).length;
    const axes = integersOf(unit, 1, 'axes');
    if (axes === undefined || axes.length === 0) {
      if (node.int('noop_with_empty_axes', 0) === 1) refuse(node, 'it reduces nothing');
    }
    const all = Array.from({ length: rank }, (_, axis) => axis);
    reduce(unit, e, op, axes?.length ? axes : all, node.int('keepdims', 1) === 1);
  };

const reduction = (op: OperatorName): Lowering => ({ int8: true, layout: 'any', lower: along(op) });

export const REDUCTIONS: Readonly<Record<string, Lowering>> = {
  ReduceMean: reduction('MEAN'),
  ReduceSum: reduction('SUM'),
  ReduceMax: reduction('REDUCE_MAX'),
  ReduceMin: reduction('REDUCE_MIN'),
};
