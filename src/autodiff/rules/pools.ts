/** Gradients of pools. */

import type { Value } from '../../ir/graph.js';
import { Tensor } from '../../ir/tensor.js';
import { isStatic, tensorType } from '../../ir/type.js';
import { dtypeOf } from '../emit.js';
import { type Backward, fixedSizes, type GradientRule, outputOf, rule } from '../rule.js';
import { zerosInLine } from '../scatter.js';
import { spreadAttributes, type Window, windowsOf } from '../window.js';

/** The pool is asked where its largest elements were: as places in the whole tensor, margins not counted. */
const largest = rule('MaxPool', 'g added to zeros at the Indices that the pool tells', (at) => {
  const { emit, node } = at;
  const x = at.input(0);
  const y = node.outputs[0]!;
  const places = outputOf(node, 1, `${y.name}_indices`, tensorType('int64', y.shape));
  const line = emit.ints([-1]);
  const row = (value: Value) => emit.op('Reshape', [value, line], {}, tensorType(dtypeOf(value), [null]));
  const count = isStatic(x.shape)
    ? emit.ints([x.shape.reduce((product, dim) => product * dim, 1)], [])
    : emit.op('Size', [x], {}, tensorType('int64', []));
  const inputs = [zerosInLine(at, count), row(places), row(at.gradient())];
  const scattered = emit.op('ScatterElements', inputs, { axis: 0, reduction: 'add' });
  return [emit.reshapeLike(scattered, x)];
});

/** How many elements each window along an axis divides by. */
function counts(window: Window, padding: boolean): number[] {
  return Array.from({ length: window.output }, (_, place) => {
    let count = 0;
    for (let tap = 0; tap < window.kernel; tap++) {
      const at = place * window.stride + tap * window.dilation - window.before;
      const [from, to] = padding ? [-window.before, window.input + window.after] : [0, window.input];
      if (at >= from && at < to) count += 1;
    }
    return count;
  });
}

/** The number of elements under every window: the product of what each axis counts. [1, 1, …] */
function countMap(at: Backward, windows: readonly Window[]): Value {
  const padding = at.node.int('count_include_pad', 0) !== 0;
  const map = windows.reduce<number[]>(
    (products, window) =>
      products.flatMap((product) => counts(window, padding).map((count) => product * count)),
    [1],
  );
  const tensor = Tensor.floats(map, [1, 1, ...windows.map((window) => window.output)]);
  return at.emit.cast(at.emit.constant(tensor, 'window_counts'), dtypeOf(at.input(0)));
}

const average = rule(
  'AveragePool',
  'ConvTranspose of g/count with a kernel of ones, channel by channel',
  (at) => {
    const { emit, node } = at;
    const x = at.input(0);
    const kernel = node.ints('kernel_shape', []);
    const windows = windowsOf(node, x, node.outputs[0]!, kernel);
    const channels = fixedSizes(x, node, 1)[0]!;
    const ones = Tensor.floats(new Float32Array(channels * kernel.reduce((a, b) => a * b, 1)).fill(1), [
      channels,
      1,
      ...kernel,
    ]);
    const share = emit.op('Div', [at.gradient(), countMap(at, windows)]);
    const attributes = { group: channels, ...spreadAttributes(windows) };
    const inputs = [share, emit.cast(emit.constant(ones, 'ones'), dtypeOf(x))];
    return [emit.op('ConvTranspose', inputs, attributes, x.type)];
  },
);

export const POOLS: readonly GradientRule[] = [largest, average];
