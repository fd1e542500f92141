/** Backwards through operators that pick elements: each goes back to the place that it was taken from. */

import type { Value } from '../ir/graph.js';
import { Tensor } from '../ir/tensor.js';
import { isStatic, tensorType } from '../ir/type.js';
import { dtypeOf } from './emit.js';
import type { Backward } from './rule.js';

/**
 * The gradient of input 0 of a node that picks elements of it by its other inputs and attributes (Slice, Gather,
 * GatherElements, GatherND, Tile): the node is applied once more to the places 0, 1, 2 … of the input's elements, which
 * tells where each element of the output came from. What was picked twice is summed.
 */
export function scatterBack(at: Backward): Value {
  const { emit, node } = at;
  const x = at.input(0);
  const count = isStatic(x.shape)
    ? emit.ints([x.shape.reduce((product, dim) => product * dim, 1)], [])
    : emit.op('Size', [x], {}, tensorType('int64', []));
  const flat = emit.op(
    'Range',
    [emit.ints([0], []), count, emit.ints([1], [])],
    {},
    tensorType('int64', [null]),
  );
  const places = emit.op('Reshape', [flat, emit.shapeOf(x)], {}, tensorType('int64', x.shape));
  const attributes = Object.fromEntries(node.attributes);
  const picked = emit.op(node.opType, [places, ...node.inputs.slice(1)], attributes, tensorType('int64'));
  const line = emit.ints([-1]);
  const zeros = zerosInLine(at, count);
  const scattered = emit.op(
    'ScatterElements',
    [
      zeros,
      emit.op('Reshape', [picked, line], {}, tensorType('int64', [null])),
      emit.op('Reshape', [at.gradient(), line], {}, tensorType(dtypeOf(x), [null])),
    ],
    { axis: 0, reduction: 'add' },
  );
  return emit.op('Reshape', [scattered, emit.shapeOf(x)], {}, x.type);
}

/** As many zeros as input 0 has elements, in one row. `count` is an int64 of no dimensions. */
export function zerosInLine({ emit, input }: Backward, count: Value): Value {
  const x = input(0);
  const value = Tensor.scalar(0, dtypeOf(x)).with({ shape: [1] });
  const length = count.constant
    ? emit.ints(count.constant.toNumbers())
    : emit.op('Reshape', [count, emit.ints([1])], {}, tensorType('int64', [1]));
  return emit.op('ConstantOfShape', [length], { value }, tensorType(dtypeOf(x), [null]));
}
