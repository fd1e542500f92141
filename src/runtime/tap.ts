import { cloneModel } from '../ir/clone.js';
import { byteLengthOf } from '../ir/dtype.js';
import { setGraphOutputs } from '../ir/edit.js';
import type { Model, Value } from '../ir/graph.js';
import type { Dim } from '../ir/type.js';
import { canCross } from './tensor.js';

/** What a dimension that only the data tells is taken for when memory is estimated; the first one is the batch. */
const UNKNOWN_DIM = 64;
const UNKNOWN_BATCH = 1;

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

/** Bytes that one run of one sample makes of a value, unknown dimensions guessed. */
export function tapBytes(value: Value): number {
  if (value.type?.kind !== 'tensor') return 0;
  const dims: readonly Dim[] = value.type.shape ?? [null, null, null];
  const count = dims.reduce<number>((product, dim, axis) => {
    const guess = axis === 0 ? UNKNOWN_BATCH : UNKNOWN_DIM;
    return product * (typeof dim === 'number' ? dim : guess);
  }, 1);
  return byteLengthOf(value.type.dtype, count);
}
