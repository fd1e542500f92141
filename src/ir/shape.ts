/** What shapes prove about each other. Sizes that nobody knows prove nothing. */
import type { Value } from './graph.js';
import type { Dim } from './type.js';

/** True when both sizes are surely equal: the same number, or the same symbolic name. */
export const sameDim = (a: Dim | undefined, b: Dim | undefined): boolean =>
  a !== undefined && a !== null && a === b && !(typeof a === 'number' && a < 0);

/** True when two values surely have equal shapes. */
export function sameShape(a: Value, b: Value): boolean {
  if (a.shape === undefined || a.shape.length !== b.shape?.length) return false;
  return a.shape.every((dim, axis) => sameDim(dim, b.shape![axis]));
}

/**
 * True when two values that hold equally many elements surely have equal shapes: the ranks agree, and all sizes but
 * at most one are surely equal and not zero, so that the last follows.
 */
export function sameShapeByCount(a: Value, b: Value): boolean {
  if (a.shape === undefined || b.shape === undefined || a.shape.length !== b.shape.length) return false;
  const open = a.shape.flatMap((dim, axis) => (sameDim(dim, b.shape![axis]) ? [] : [axis]));
  if (open.length === 0) return true;
  const [axis] = open;
  return open.length === 1 && a.shape.every((dim, at) => at === axis || dim !== 0);
}

/** An axis counted from the front; undefined when it lies outside of the rank or the rank is not known. */
export function axisFromFront(axis: number, rank: number | undefined): number | undefined {
  if (rank === undefined) return axis >= 0 ? axis : undefined;
  const front = axis < 0 ? axis + rank : axis;
  return front >= 0 && front < rank ? front : undefined;
}
