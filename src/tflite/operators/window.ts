/** Windows that slide over two dimensions: how ONNX pads them, and how the format can. */
import type { Node } from '../../ir/graph.js';
import { refuse } from '../refusal.js';

export interface Window {
  /** Of height and width, in this order. */
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Zeros (or whatever pads) before and after each dimension. */
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/** Of one spatial dimension makes two, by a height of 1 in front. */
const pair = (list: readonly number[], first: number): number[] =>
  list.length === 1 ? [first, ...list] : [...list];

/**
 * Reads a node's window. `after` is what the last window reaches beyond the input, which may be less than the node
 * says, or more where sizes are rounded up.
 * @param input and `output`: sizes of height and width
 */
export function windowOf(
  node: Node,
  kernel: readonly number[],
  input: readonly number[],
  output: readonly number[],
): Window {
  const spatial = kernel.length;
  if (spatial < 1 || spatial > 2)
    refuse(node, `it slides over ${spatial} dimensions, and the format knows two`);
  const ones = kernel.map(() => 1);
  const strides = pair(node.ints('strides', ones), 1);
  const dilations = pair(node.ints('dilations', ones), 1);
  const sizes = pair(kernel, 1);
  const [from, to] = [pair(input, 1), pair(output, 1)];
  const reach = sizes.map((size, axis) => (size - 1) * dilations[axis]! + 1);
  const total = reach.map((size, axis) => (to[axis]! - 1) * strides[axis]! + size - from[axis]!);
  const auto = node.string('auto_pad', 'NOTSET');
  const pads = node.ints(
    'pads',
    [...ones, ...ones].map(() => 0),
  );
  const begin =
    auto === 'SAME_UPPER'
      ? total.map((each) => Math.floor(Math.max(0, each) / 2))
      : auto === 'SAME_LOWER'
        ? total.map((each) => Math.ceil(Math.max(0, each) / 2))
        : auto === 'VALID'
          ? [0, 0]
          : pair(pads.slice(0, spatial), 0);
  const after = total.map((each, axis) => Math.max(0, each - begin[axis]!));
  return { kernel: sizes, strides, dilations, before: begin, after };
}

/** What the format's own paddings come to. */
export function paddingOf(
  { kernel, strides, dilations, before, after }: Window,
  input: readonly number[],
): 'same' | 'valid' | undefined {
  if ([...before, ...after].every((each) => each === 0)) return 'valid';
  const same = pair(input, 1).every((size, axis) => {
    const outputs = Math.ceil(size / strides[axis]!);
    const reach = (kernel[axis]! - 1) * dilations[axis]! + 1;
    const total = Math.max(0, (outputs - 1) * strides[axis]! + reach - size);
    const first = Math.floor(total / 2);
    return before[axis] === first && after[axis] === total - first;
  });
  return same ? 'same' : undefined;
}
