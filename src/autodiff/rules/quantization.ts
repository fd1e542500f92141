/** Gradients of stored integers: their scales can be trained, they themselves cannot. */
import type { Value } from '../../ir/graph.js';
import { tensorType } from '../../ir/type.js';
import { dtypeOf } from '../emit.js';
import { type Backward, fixedSizes, type GradientRule, rankOf, rule } from '../rule.js';

/** Σ of products over all elements that share a scale, in the scale's shape. */
function overShared(at: Backward, products: Value, scale: Value): Value {
  const { emit, node } = at;
  const rank = rankOf(products, node);
  const given = node.int('axis', 1);
  const axis = given < 0 ? given + rank : given;
  const block = node.int('block_size', 0);
  if (block > 0) {
    const sizes = fixedSizes(products, node);
    const short = (block - (sizes[axis]! % block)) % block;
    const ends = new Array<number>(2 * rank).fill(0);
    ends[rank + axis] = short;
    const zero = emit.scalar(0, products);
    const whole = short === 0 ? products : emit.op('Pad', [products, emit.ints(ends), zero]);
    const shape = sizes.flatMap((size, each) => (each === axis ? [(size + short) / block, block] : [size]));
    return emit.op(
      'ReduceSum',
      [emit.reshape(whole, shape), emit.ints([axis + 1])],
      { keepdims: 0 },
      scale.type,
    );
  }
  const all = Array.from({ length: rank }, (_, each) => each);
  const summed = scale.shape?.length === 1 ? all.filter((each) => each !== axis) : all;
  const sum = emit.op(
    'ReduceSum',
    [products, emit.ints(summed)],
    { keepdims: 0 },
    tensorType(dtypeOf(scale)),
  );
  return emit.reshapeLike(sum, scale);
}

export const QUANTIZATION: readonly GradientRule[] = [
  rule('DequantizeLinear', 'dscale = Σ g·(x − zero point) over what shares a scale', (at) => {
    const { emit, node } = at;
    const scale = at.input(1);
    // With a scale of 1 the operator itself tells the distance from the zero point, whatever the integers.
    const attributes = Object.fromEntries(node.attributes);
    const y = node.outputs[0]!;
    const ones = emit.full(scale, 1);
    const inputs = [at.input(0), ones, node.inputs[2]];
    const distance = emit.op('DequantizeLinear', inputs, attributes, tensorType(dtypeOf(y), y.shape));
    return [
      undefined,
      at.wants(1) ? overShared(at, emit.op('Mul', [at.gradient(), distance], {}, y.type), scale) : undefined,
    ];
  }),
];
