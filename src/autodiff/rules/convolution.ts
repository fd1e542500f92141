/** Gradients of convolutions, by convolutions. */

import type { Value } from '../../ir/graph.js';
import { tensorType } from '../../ir/type.js';
import { dtypeOf } from '../emit.js';
import { type Backward, fixedSizes, type GradientRule, rule } from '../rule.js';
import { spreadAttributes, type Window, windowsOf } from '../window.js';

/** Σ g over all but the channels. */
function biasGradient(at: Backward, g: Value, rank: number): Value {
  const axes = Array.from({ length: rank }, (_, axis) => axis).filter((axis) => axis !== 1);
  return at.emit.op('ReduceSum', [g, at.emit.ints(axes)], { keepdims: 0 }, at.input(2).type);
}

/**
 * [N, G·C, …] → [C, G·N, …]: samples become channels, so that a convolution sums over them, group by group.
 */
function samplesAsChannels(at: Backward, value: Value, groups: number): Value {
  const [channels, ...sizes] = fixedSizes(value, at.node, 1);
  const swap = [1, 0, ...sizes.map((_, axis) => axis + 2)];
  if (groups === 1) return at.emit.transpose(value, swap);
  const own = channels! / groups;
  const batch = value.shape![0];
  const split = at.emit.op(
    'Reshape',
    [value, at.emit.ints([-1, groups, own, ...sizes])],
    {},
    tensorType(dtypeOf(value), [batch!, groups, own, ...sizes]),
  );
  const turned = at.emit.transpose(split, [2, 1, 0, ...sizes.map((_, axis) => axis + 3)]);
  const joined = typeof batch === 'number' ? batch * groups : null;
  return at.emit.op(
    'Reshape',
    [turned, at.emit.ints([own, -1, ...sizes])],
    {},
    tensorType(dtypeOf(value), [own, joined, ...sizes]),
  );
}

/**
 * The gradient of a kernel [M, C/G, k…]: what was read, convolved with g, where strides and dilations change places.
 * @param read what the windows ran over: x of a Conv, g of a ConvTranspose
 * @param made one element a window: g of a Conv, x of a ConvTranspose
 */
function kernelGradient(
  at: Backward,
  read: Value,
  made: Value,
  windows: readonly Window[],
  groups: number,
  type: Value['type'],
): Value {
  const { emit } = at;
  const spatial = windows.map((_, axis) => axis + 2);
  const swap = [1, 0, ...spatial];
  const found = emit.op(
    'Conv',
    [samplesAsChannels(at, read, groups), emit.transpose(made, swap)],
    {
      group: groups,
      strides: windows.map((w) => w.dilation),
      dilations: windows.map((w) => w.stride),
      pads: [...windows.map((w) => w.before), ...windows.map((w) => Math.max(w.after, 0))],
    },
    tensorType(dtypeOf(read)),
  );
  // Where the stride left a rest, there are more places than the kernel has.
  const cropped = emit.op('Slice', [
    found,
    emit.ints(windows.map(() => 0)),
    emit.ints(windows.map((w) => w.kernel)),
    emit.ints(spatial),
  ]);
  return emit.op('Transpose', [cropped], { perm: swap }, type);
}

const convolution = rule(
  'Conv',
  'dX = ConvTranspose(g, W); dW = Conv(X, g) with samples as channels, strides and dilations exchanged; db = Σ g',
  (at) => {
    const { emit, node } = at;
    const [x, w] = [at.input(0), at.input(1)];
    const g = at.gradient();
    const group = node.int('group', 1);
    const windows = windowsOf(node, x, node.outputs[0]!, fixedSizes(w, node, 2));
    const dx = () => emit.op('ConvTranspose', [g, w], { group, ...spreadAttributes(windows) }, x.type);
    return [
      at.wants(0) ? dx() : undefined,
      at.wants(1) ? kernelGradient(at, x, g, windows, group, w.type) : undefined,
      at.wants(2) ? biasGradient(at, g, windows.length + 2) : undefined,
    ];
  },
);

/** The dual: windows run over what it makes. */
const transposed = rule(
  'ConvTranspose',
  'dX = Conv(g, W); dW = Conv(g, X) with samples as channels, strides and dilations exchanged; db = Σ g',
  (at) => {
    const { emit, node } = at;
    const [x, w] = [at.input(0), at.input(1)];
    const y = node.outputs[0]!;
    const g = at.gradient();
    const group = node.int('group', 1);
    const kernel = fixedSizes(w, node, 2);
    const windows = marginsOf(at, windowsOf(node, y, x, kernel));
    const attributes = {
      group,
      kernel_shape: kernel,
      strides: windows.map((each) => each.stride),
      dilations: windows.map((each) => each.dilation),
      pads: [...windows.map((each) => each.before), ...windows.map((each) => each.after)],
    };
    return [
      at.wants(0) ? emit.op('Conv', [g, w], attributes, x.type) : undefined,
      at.wants(1) ? kernelGradient(at, g, x, windows, group, w.type) : undefined,
      at.wants(2) ? biasGradient(at, g, windows.length + 2) : undefined,
    ];
  },
);

/**
 * Margins of a ConvTranspose: its `output_shape` and `auto_pad` say how much is cut off in all, and ONNX which end gets
 * the odd one. `output_padding` lengthens the end, where no window reaches.
 */
function marginsOf({ node }: Backward, windows: readonly Window[]): Window[] {
  const auto = node.string('auto_pad', 'NOTSET');
  const extra = node.ints('output_padding', new Array(windows.length).fill(0));
  return windows.map((w, axis) => {
    const span = (w.output - 1) * w.stride + w.dilation * (w.kernel - 1) + 1;
    const total = span + extra[axis]! - w.input;
    let { before } = w;
    if (auto === 'VALID') before = 0;
    else if (auto.startsWith('SAME') || node.ints('output_shape') !== undefined) {
      before = auto === 'SAME_UPPER' ? Math.floor(total / 2) : total - Math.floor(total / 2);
    }
    return { ...w, before, after: total - before - extra[axis]! };
  });
}

export const CONVOLUTION: readonly GradientRule[] = [convolution, transposed];
