import { cloneModel } from '../ir/clone.js';
import { byteLengthOf } from '../ir/dtype.js';
import { setGraphOutputs } from '../ir/edit.js';
import type { Model, Value } from '../ir/graph.js';
import { canCross } from './tensor.js';

/** What a dimension that only the data tells is taken for when memory is estimated. */
const UNKNOWN_DIM = 64;

/** A copy of the model out of which the given values of its main graph come, instead of its outputs. */
export function tapped(model: Model, values: readonly Value[]): Model {
  const copy = cloneModel(model);
  setGraphOutputs(
    copy.model.graph,
    values.map((value) => copy.values.get(value)!),
  );
  return copy.model;
}

/** True when a value can be brought out of ONNX Runtime: a tensor of a dtype that crosses. */
export const canTap = (value: Value): boolean => value.type?.kind === 'tensor' && canCross(value.type.dtype);

/** Bytes that one run makes of a value, unknown dimensions guessed. */
export function tapBytes(value: Value): number {
  if (value.type?.kind !== 'tensor') return 0;
  const dims = value.type.shape ?? [UNKNOWN_DIM, UNKNOWN_DIM, UNKNOWN_DIM];
  const count = dims.reduce<number>(
    (product, dim) => product * (typeof dim === 'number' ? dim : UNKNOWN_DIM),
    1,
  );
  return byteLengthOf(value.type.dtype, count);
}

/** Splits values into groups whose bytes stay below a ceiling; one larger than that stands alone. */
export function tapGroups(values: readonly Value[], ceiling: number): Value[][] {
  const groups: Value[][] = [];
  let room = 0;
  for (const value of values) {
    const bytes = tapBytes(value);
    const group = groups.at(-1);
    if (group === undefined || bytes > room) {
      groups.push([value]);
      room = ceiling - bytes;
    } else {
      group.push(value);
      room -= bytes;
    }
  }
  return groups;
}
