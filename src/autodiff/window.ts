/** The windows of convolutions and pools, per spatial axis, with automatic padding resolved. */
import type { Node, Value } from '../ir/graph.js';
import { fixedSizes } from './rule.js';

/** Windows along one spatial axis. */
export interface Window {
  /** Sizes of what is read and of what is made. */
  readonly input: number;
  readonly output: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  /** Margin before and after. */
  readonly before: number;
  readonly after: number;
}

/**
 * The windows of a Conv or a pool.
 * @param x its input, [N, C, …] with fixed spatial sizes
 * @param y its output
 * @param kernel sizes of the kernel
 */
export function windowsOf(node: Node, x: Value, y: Value, kernel: readonly number[]): Window[] {
  const from = fixedSizes(x, node, 2);
  const to = fixedSizes(y, node, 2);
  const count = kernel.length;
  const strides = node.ints('strides', new Array(count).fill(1));
  const dilations = node.ints('dilations', new Array(count).fill(1));
  const pads = node.ints('pads', new Array(2 * count).fill(0));
  const auto = node.string('auto_pad', 'NOTSET');
  return kernel.map((size, axis) => {
    const [stride, dilation] = [strides[axis]!, dilations[axis]!];
    const span = dilation * (size - 1) + 1;
    let [before, after] = [pads[axis]!, pads[axis + count]!];
    if (auto === 'VALID') [before, after] = [0, 0];
    else if (auto.startsWith('SAME')) {
      const total = Math.max(0, (to[axis]! - 1) * stride + span - from[axis]!);
      before = auto === 'SAME_LOWER' ? Math.ceil(total / 2) : Math.floor(total / 2);
      after = total - before;
    }
    return { input: from[axis]!, output: to[axis]!, kernel: size, stride, dilation, before, after };
  });
}

/**
 * Attributes of the ConvTranspose that spreads what windows of y read back over x: the margin at the end is what the last
 * window reaches beyond x, and what of x no window reached is added.
 */
export function spreadAttributes(windows: readonly Window[]): Record<string, number[]> {
  const beyond = windows.map(
    (w) => (w.output - 1) * w.stride + w.dilation * (w.kernel - 1) + 1 - w.before - w.input,
  );
  return {
    kernel_shape: windows.map((w) => w.kernel),
    strides: windows.map((w) => w.stride),
    dilations: windows.map((w) => w.dilation),
    pads: [...windows.map((w) => w.before), ...beyond.map((over) => Math.max(0, over))],
    output_padding: beyond.map((over) => Math.max(0, -over)),
  };
}
