/** Conv and ConvTranspose. */
import type { Node } from '../../ir/graph.js';
import type { Emitter, Operand } from '../emitter.js';
import { refuse, shapeOf } from '../refusal.js';
import { FUSED_ACTIVATIONS, PADDING } from '../schema.js';
import type { Unit } from '../unit.js';
import { channelOrderBehind } from './depth-to-space.js';
import type { Lowering } from './lowering.js';
import { biasOf, type WeightOrder, weightOf } from './weights.js';
import { paddingOf, type Window, windowOf } from './window.js';

/** [N, L, C] seen as [N, 1, L, C]. */
export const spread = (e: Emitter, x: Operand): Operand =>
  x.shape.length === 3 ? e.reshape(x, [x.shape[0]!, 1, x.shape[1]!, x.shape[2]!]) : x;

/** Computes a result of three dimensions in four. @param grid where the operator wants another than the result's */
export function intoSpread(
  unit: Unit,
  e: Emitter,
  emit: (output: Operand) => void,
  grid?: Operand['grid'],
): void {
  const spreading = (output: Operand): void => {
    if (output.shape.length === 4) {
      emit(output);
      return;
    }
    const [n, length, c] = output.shape;
    const wide = e.tensor('spread', [n!, 1, length!, c!], output.type, output.grid && { grid: output.grid });
    emit(wide);
    e.operator('RESHAPE', [wide, e.ints(output.shape)], { newShape: output.shape }, [output]);
  };
  e.into(unit, 'last', spreading, { grid });
}

/** What a window wants around height and width of [N, H, W, C], an axis a pair, and the shape that comes of it. */
export function padsAround(
  x: Operand,
  { before, after }: Window,
): { readonly pads: number[]; readonly shape: number[] } {
  const pads = [
    [0, 0],
    [before[0]!, after[0]!],
    [before[1]!, after[1]!],
    [0, 0],
  ];
  const shape = x.shape.map((dim, axis) => dim + pads[axis]![0]! + pads[axis]![1]!);
  return { pads: pads.flat(), shape };
}

/** Rows and columns of the zero point around height and width. */
export function padded(e: Emitter, x: Operand, window: Window): Operand {
  const { pads, shape } = padsAround(x, window);
  return e.apply('PAD', [x, e.ints(pads, [4, 2])], {}, shape, { name: 'padded' });
}

/** Dimensions of a weight [O, I, kH, kW] or [O, I, kL], the latter with a height of 1. */
const square = (shape: readonly number[]): number[] =>
  shape.length === 3 ? [shape[0]!, shape[1]!, 1, shape[2]!] : [...shape];

function convolution(unit: Unit, e: Emitter): void {
  const { node } = unit;
  const weight = shapeOf(node.inputs[1]!);
  const output = shapeOf(node.outputs[0]!);
  const input = shapeOf(node.inputs[0]!);
  const window = windowOf(node, weight.slice(2), input.slice(2), output.slice(2));
  let x = spread(e, e.read(unit, 0, 'last'));
  const group = node.int('group', 1);
  const channels = output[1]!;
  const depthwise = group > 1 && weight[1] === 1;
  const outputs = channelOrderBehind(unit);
  const from = square(weight);
  const order: WeightOrder = depthwise
    ? { from, perm: [1, 2, 3, 0], axis: 3, onnxAxis: 0, outputs }
    : { from, perm: [0, 2, 3, 1], axis: 0, onnxAxis: 0, outputs };
  if (depthwise && outputs) refuse(node, 'its channels would have to be parted otherwise');
  const stored = weightOf(unit, e, 1, order);
  const bias = biasOf(unit, e, node.inputs[2], channels, stored, x, outputs);
  let padding = paddingOf(window, input.slice(2));
  if (padding === undefined) {
    x = padded(e, x, window);
    padding = 'valid';
  }
  intoSpread(unit, e, (y) =>
    e.operator(
      depthwise ? 'DEPTHWISE_CONV_2D' : 'CONV_2D',
      [x, stored.operand, bias],
      {
        padding: PADDING[padding],
        ...stepsOf(window),
        ...(depthwise && { depthMultiplier: channels / group }),
        fused: FUSED_ACTIVATIONS[unit.fused],
        dilationH: window.dilations[0]!,
        dilationW: window.dilations[1]!,
      },
      [y],
    ),
  );
}

export const stepsOf = ({ strides }: Window) => ({ strideH: strides[0]!, strideW: strides[1]! });

/**
 * ConvTranspose scatters into a full output, of which ONNX cuts `pads` off: SAME where the format would cut off as
 * much, else the full output and a slice of it.
 */
function transposed(unit: Unit, e: Emitter): void {
  const { node } = unit;
  const weight = shapeOf(node.inputs[1]!);
  const spatial = weight.length - 2;
  if (spatial !== 2) refuse(node, `it works on ${spatial} dimensions, and the format on two`);
  if (node.int('group', 1) !== 1) refuse(node, 'it has groups');
  if (node.ints('dilations', [1, 1]).some((step) => step !== 1)) refuse(node, 'it has dilations');
  const strides = node.ints('strides', [1, 1]);
  const output = shapeOf(node.outputs[0]!);
  const size = output.slice(2);
  const inner = shapeOf(node.inputs[0]!).slice(2);
  const kernel = weight.slice(2);
  const full = inner.map((dim, axis) => (dim - 1) * strides[axis]! + kernel[axis]!);
  const before = beginOf(node, full, size);
  const whole = full.every((dim, axis) => dim === size[axis]) && before.every((pad) => pad === 0);
  const same = size.every((dim, axis) => {
    const total = Math.max(0, full[axis]! - dim);
    return (
      Math.ceil(dim / strides[axis]!) === inner[axis] &&
      Math.floor(total / 2) === before[axis] &&
      full[axis]! >= dim
    );
  });
  if (!same && before.some((pad, axis) => pad + size[axis]! > full[axis]!))
    refuse(node, 'its output reaches beyond what its windows give');
  const x = e.read(unit, 0, 'last');
  const stored = weightOf(unit, e, 1, { perm: [1, 2, 3, 0], axis: 0, onnxAxis: 1 });
  const bias = biasOf(unit, e, node.inputs[2], output[1]!, stored, x);
  const [n, channels] = [output[0]!, output[1]!];
  const direct = whole || same;
  const emit = (y: Operand): void =>
    e.operator(
      'TRANSPOSE_CONV',
      [e.ints(y.shape), stored.operand, x, bias],
      {
        padding: PADDING[direct && !whole ? 'same' : 'valid'],
        strideH: strides[0]!,
        strideW: strides[1]!,
        fused: FUSED_ACTIVATIONS[unit.fused],
      },
      [y],
    );
  e.into(unit, 'last', (y) => {
    if (direct) return emit(y);
    const wide = e.tensor('full', [n, ...full, channels], y.type, y.grid && { grid: y.grid });
    emit(wide);
    e.operator('SLICE', [wide, e.ints([0, ...before, 0]), e.ints(y.shape)], {}, [y]);
  });
}

/** How much is cut off in front: what is said, or what `auto_pad` or `output_shape` leaves. */
function beginOf(node: Node, full: readonly number[], size: readonly number[]): number[] {
  const auto = node.string('auto_pad', 'NOTSET');
  if (auto === 'NOTSET' && node.ints('output_shape') === undefined)
    return node.ints('pads', [0, 0, 0, 0]).slice(0, 2);
  if (auto === 'VALID') return [0, 0];
  const half = auto === 'SAME_UPPER' ? Math.floor : Math.ceil;
  return full.map((dim, axis) => half(Math.max(0, dim - size[axis]!) / 2));
}

export const CONVOLUTIONS: Readonly<Record<string, Lowering>> = {
  Conv: { int8: true, fuses: true, layout: 'last', lower: convolution },
  ConvTranspose: { int8: true, fuses: true, layout: 'last', lower: transposed },
};
