/** Operators that move elements and compute nothing: integers stay what they are. */
import { constantOf } from '../../ir/constant.js';
import type { Value } from '../../ir/graph.js';
import type { Emitter, Operand } from '../emitter.js';
import { axisIn, type Layout, laid, movesNothing, orderOf, permutation } from '../layout.js';
import { refuse, shapeOf } from '../refusal.js';
import type { Unit } from '../unit.js';
import { type Lowering, layoutAmong } from './lowering.js';
import { integersOf } from './weights.js';

/** Dimensions in ONNX's order are seen as others. */
function reshape(unit: Unit, e: Emitter): void {
  const { value } = unit.results[0]!;
  const home = e.home(e.sourceOf(unit, 0), 'plain');
  const rank = shapeOf(unit.node.inputs[0]!).length;
  const back = permutation(orderOf('last', rank), orderOf('plain', rank));
  // Where no element has to move, the elements are in ONNX's order already.
  const inPlace = home?.layout === 'last' && movesNothing(home.operand.shape, back);
  const x = inPlace ? home.operand : e.read(unit, 0, 'plain');
  e.alias(unit, 'plain', e.reshape(x, shapeOf(value), `${value.name}_reshaped`));
}

/**
 * The order that ONNX's Transpose gives is named anew where it comes to ONNX's own or to channels last: then nothing is
 * moved at all.
 */
function transpose(unit: Unit, e: Emitter): void {
  const { node } = unit;
  const rank = shapeOf(node.inputs[0]!).length;
  const perm = node.ints(
    'perm',
    Array.from({ length: rank }, (_, axis) => rank - 1 - axis),
  );
  const lies = layoutAmong(unit, e, [0]);
  const x = e.read(unit, 0, lies);
  // Which ONNX axis of the output each physical dimension of the input is.
  const seen = orderOf(lies, rank).map((axis) => perm.indexOf(axis));
  const moves = (layout: Layout) => permutation(seen, orderOf(layout, rank));
  const stays = (layout: Layout) => moves(layout).every((axis, index) => axis === index);
  const layout: Layout = stays('plain') ? 'plain' : stays('last') ? 'last' : 'plain';
  e.alias(unit, layout, e.transpose(x, moves(layout), `${unit.results[0]!.value.name}_moved`));
}

/** All inputs lie on the result's grid. */
function concat(unit: Unit, e: Emitter): void {
  const { node, results } = unit;
  const indices = node.inputs.map((_, index) => index);
  const layout = layoutAmong(unit, e, indices);
  const { grid } = results[0]!;
  const parts = indices.map((index) => e.requantized(e.read(unit, index, layout), grid));
  const axis = axisIn(node.int('axis', 0), layout, shapeOf(node.outputs[0]!).length);
  e.into(unit, layout, (y) => e.operator('CONCATENATION', parts, { axis, fused: 0 }, [y]));
}

/** Sizes of the parts, from the shapes that they have. */
function split(unit: Unit, e: Emitter): void {
  const { node } = unit;
  const layout = layoutAmong(unit, e, [0]);
  const x = e.read(unit, 0, layout);
  const rank = x.shape.length;
  const axis = axisIn(node.int('axis', 0), layout, rank);
  let start = 0;
  unit.results.forEach((result, index) => {
    const shape = laid(shapeOf(result.value), layout);
    const begin = x.shape.map((_, at) => (at === axis ? start : 0));
    start += shape[axis]!;
    const part = e.apply('SLICE', [x, e.ints(begin), e.ints(shape)], {}, shape, {
      name: `${result.value.name}_part`,
    });
    e.alias(unit, layout, part, index);
  });
}

function slice(unit: Unit, e: Emitter): void {
  const { node } = unit;
  const shape = shapeOf(node.inputs[0]!);
  const output = shapeOf(node.outputs[0]!);
  const starts = integersOf(unit, 1, 'starts') ?? [];
  const axes = integersOf(unit, 3, 'axes') ?? starts.map((_, axis) => axis);
  const steps = integersOf(unit, 4) ?? starts.map(() => 1);
  const layout = layoutAmong(unit, e, [0]);
  const x = e.read(unit, 0, layout);
  const begin = shape.map(() => 0);
  const stride = shape.map(() => 1);
  axes.forEach((each, index) => {
    const axis = each < 0 ? each + shape.length : each;
    const [dim, start, step] = [shape[axis]!, starts[index]!, steps[index]!];
    const from = start < 0 ? start + dim : start;
    begin[axis] = step < 0 ? Math.max(0, Math.min(dim - 1, from)) : Math.max(0, Math.min(dim, from));
    stride[axis] = step;
  });
  if (output.includes(0)) refuse(node, 'it gives nothing');
  const [at, size, by] = [laid(begin, layout), laid(output, layout), laid(stride, layout)];
  const { name } = unit.results[0]!.value;
  const named = { name: `${name}_part` };
  if (by.every((step) => step === 1)) {
    e.alias(unit, layout, e.apply('SLICE', [x, e.ints(at), e.ints(size)], {}, size, named));
    return;
  }
  const ends = at.map((from, axis) => from + (size[axis]! - 1) * by[axis]! + Math.sign(by[axis]!));
  // An end before the first element is no index: it is masked.
  const endMask = ends.reduce((mask, end, axis) => (end < 0 ? mask | (1 << axis) : mask), 0);
  const parts = [x, e.ints(at), e.ints(ends.map((end) => Math.max(0, end))), e.ints(by)];
  e.alias(unit, layout, e.apply('STRIDED_SLICE', parts, { endMask }, size, named));
}

/** Indices along one axis; those that are constant are counted from the front. */
function gather(unit: Unit, e: Emitter): void {
  const { node } = unit;
  const rank = shapeOf(node.inputs[0]!).length;
  const value = node.inputs[1] as Value;
  const tensor = constantOf(value);
  if (tensor === undefined) refuse(node, 'its indices are computed while the model runs');
  const layout: Layout = tensor.shape.length === 1 ? layoutAmong(unit, e, [0]) : 'plain';
  const x = e.read(unit, 0, layout);
  const axis = axisIn(node.int('axis', 0), layout, rank);
  const dim = x.shape[axis]!;
  const indices = tensor.toNumbers().map((each) => (each < 0 ? each + dim : each));
  const options = { axis, batchDims: 0 };
  const list = e.ints(indices, tensor.shape);
  e.into(unit, layout, (y) => e.operator('GATHER', [x, list], options, [y]), { grid: x.grid });
}

const REFLECT = 0;

function pad(unit: Unit, e: Emitter): void {
  const { node } = unit;
  const rank = shapeOf(node.inputs[0]!).length;
  const given = integersOf(unit, 1, 'pads') ?? [];
  const axes = (integersOf(unit, 3) ?? Array.from({ length: rank }, (_, axis) => axis)).map((axis) =>
    axis < 0 ? axis + rank : axis,
  );
  const pads = Array.from({ length: rank }, () => [0, 0]);
  axes.forEach((axis, index) => {
    pads[axis] = [given[index]!, given[index + axes.length]!];
  });
  if (pads.flat().some((each) => each < 0)) refuse(node, 'it cuts off instead of padding');
  const layout = layoutAmong(unit, e, [0]);
  const x = e.read(unit, 0, layout);
  const list = e.ints(
    orderOf(layout, rank).flatMap((axis) => pads[axis]!),
    [rank, 2],
  );
  const mode = node.string('mode', 'constant');
  if (mode !== 'constant' && mode !== 'reflect') refuse(node, `its mode is ${mode}`);
  const value = mode === 'constant' ? filler(unit) : 0;
  const fill = value === 0 ? undefined : e.scalar(value, x.grid);
  const emit = (y: Operand): void => {
    if (mode === 'reflect') e.operator('MIRROR_PAD', [x, list], { mode: REFLECT }, [y]);
    else e.operator(fill ? 'PADV2' : 'PAD', fill ? [x, list, fill] : [x, list], {}, [y]);
  };
  e.into(unit, layout, emit, { grid: x.grid });
}

/** What the node pads with. */
function filler({ node }: Unit): number {
  const value = node.inputs[2];
  if (value === undefined) return node.float('value', 0);
  const tensor = constantOf(value) ?? constantOf(value.producer?.inputs[0]);
  if (tensor === undefined) refuse(node, 'what it pads with is computed while the model runs');
  return tensor.toNumbers()[0]!;
}

const of = (lower: Lowering['lower'], layout: Lowering['layout'] = 'any'): Lowering => ({
  int8: true,
  layout,
  lower,
});

export const MOVEMENTS: Readonly<Record<string, Lowering>> = {
  Reshape: of(reshape, 'plain'),
  Flatten: of(reshape, 'plain'),
  Squeeze: of(reshape, 'plain'),
  Unsqueeze: of(reshape, 'plain'),
  Transpose: of(transpose, 'plain'),
  Concat: of(concat),
  Split: of(split),
  Slice: of(slice),
  Gather: of(gather),
  Pad: of(pad),
};
