import { type Node, no, type Value, type Verdict } from '../../src/index.js';
import { floating } from './floating.js';

/** The first axis that is normalized over, counted from the front; undefined where the rank is not known. */
export function firstAxis(x: Value, norm: Node): number | undefined {
  const rank = x.shape?.length;
  const axis = norm.int('axis', -1);
  return rank === undefined ? undefined : axis < 0 ? axis + rank : axis;
}

/** True for one whose other outputs nobody reads, of known rank. */
export const alone = ({ x, norm }: { readonly x: Value; readonly norm: Node }): Verdict => {
  if (norm.outputs.length > 1) return no('its mean or deviation is read', norm);
  if (firstAxis(x, norm) === undefined) return no(`the rank of ${x.name} is unknown`, x);
  return floating({ x, node: norm });
};
