/** Gradients of what only moves elements: every element goes back to where it came from. */
import { constantNumbers } from '../../ir/constant.js';
import type { Value } from '../../ir/graph.js';
import { tensorType } from '../../ir/type.js';
import { axesMatrix } from '../axis-matrix.js';
import { type Backward, fixedSizes, type GradientRule, rankOf, rule, unsupported } from '../rule.js';
import { scatterBack } from '../scatter.js';

const same = (at: Backward): Value[] => [at.emit.reshapeLike(at.gradient(), at.input(0))];

/** The rows that a Concat joined, each to its own input. */
function parted(at: Backward): (Value | undefined)[] {
  const { emit, node } = at;
  const axis = node.int('axis', 0);
  if (node.inputs.length === 1) return [at.gradient()];
  const lengths = node.inputs.map((input) => {
    const dim = input!.shape?.at(axis);
    if (typeof dim === 'number') return emit.ints([dim]);
    const whole = emit.op('Shape', [input], {}, tensorType('int64', [null]));
    return emit.op('Gather', [whole, emit.ints([axis])], { axis: 0 }, tensorType('int64', [1]));
  });
  const sizes = lengths.map((length) => length.constant?.toNumbers()[0]);
  const split = sizes.every((size) => size !== undefined)
    ? emit.ints(sizes as number[])
    : emit.op('Concat', lengths, { axis: 0 }, tensorType('int64', [lengths.length]));
  const types = node.inputs.map((input) => input!.type);
  return [...emit.ops('Split', [at.gradient(), split], types, { axis })];
}

/** Step 1 throughout: the cotangent with zeros around it. Other steps: each element to its place. */
function sliced(at: Backward): Value[] {
  const { emit, node } = at;
  const x = at.input(0);
  const starts = constantNumbers(node.inputs[1]);
  const ends = constantNumbers(node.inputs[2]);
  const steps = node.inputs[4] === undefined ? starts?.map(() => 1) : constantNumbers(node.inputs[4]);
  const rank = x.shape?.length;
  const axes =
    node.inputs[3] === undefined ? starts?.map((_, axis) => axis) : constantNumbers(node.inputs[3]);
  const cut = axes?.map((axis) => x.shape?.at(axis));
  if (!starts || !ends || !axes || rank === undefined || !steps?.every((step) => step === 1))
    return [scatterBack(at)];
  if (!cut!.every((dim) => typeof dim === 'number')) return [scatterBack(at)];
  const pads = new Array<number>(2 * rank).fill(0);
  axes.forEach((given, at) => {
    const axis = given < 0 ? given + rank : given;
    const size = cut![at] as number;
    const place = (index: number) => Math.min(Math.max(index < 0 ? index + size : index, 0), size);
    pads[axis] = place(starts[at]!);
    pads[axis + rank] = size - Math.max(place(ends[at]!), place(starts[at]!));
  });
  return [emit.op('Pad', [at.gradient(), emit.ints(pads), emit.scalar(0, x)], {}, x.type)];
}

const padded = rule(
  'Pad',
  'constant: g without the margin; reflect, edge, wrap: the margin goes back too',
  (at) => {
    const { emit, node } = at;
    if (node.string('mode', 'constant') !== 'constant') return [axesMatrix(at)];
    if (at.wants(2)) throw unsupported(node, 'a trained margin');
    const back = emit.op('Neg', [at.input(1)]);
    const x = at.input(0);
    return [emit.op('Pad', [at.gradient(), back, emit.scalar(0, x), node.inputs[3]], {}, x.type)];
  },
);

/** DepthToSpace in CRD order, undone: [N, C, H·b, W·b] → [N, C·b·b, H, W]. */
function spaceToDepth(at: Backward): Value {
  const { emit, node } = at;
  const b = node.int('blocksize', 1);
  const x = at.input(0);
  if (node.string('mode', 'DCR') === 'DCR') {
    return emit.op('SpaceToDepth', [at.gradient()], { blocksize: b }, x.type);
  }
  const [, channels, height, width] = [0, ...fixedSizes(x, node, 1)];
  const opened = emit.reshape(at.gradient(), [0, channels! / (b * b), height!, b, width!, b]);
  return emit.reshapeLike(emit.transpose(opened, [0, 1, 3, 5, 2, 4]), x);
}

/** [a₁, r₁·a₁ …]: the copies of a Tile lie side by side on an axis of their own, and are summed. */
function untiled(at: Backward): Value {
  const { emit, node } = at;
  const x = at.input(0);
  const repeats = constantNumbers(node.inputs[1]);
  if (repeats === undefined) return scatterBack(at);
  const sizes = fixedSizes(x, node);
  const opened = emit.reshape(
    at.gradient(),
    sizes.flatMap((size, axis) => [repeats[axis]!, size]),
  );
  const copies = sizes.map((_, axis) => 2 * axis);
  return emit.op('ReduceSum', [opened, emit.ints(copies)], { keepdims: 0 }, x.type);
}

export const MOVEMENT: readonly GradientRule[] = [
  rule('Reshape Squeeze Unsqueeze Flatten', 'g in the shape of x', same),
  rule('Transpose', 'g turned back', (at) => {
    const rank = rankOf(at.input(0), at.node);
    const perm = at.node.ints('perm') ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
    const back = perm.map((_, axis) => perm.indexOf(axis));
    return [at.emit.transpose(at.gradient(), back)];
  }),
  rule('Expand', 'Σ g over what was broadcast', (at) => [at.emit.sumTo(at.gradient(), at.input(0))]),
  rule('Concat', 'the parts of g', parted),
  rule('Split', 'the parts joined, zeros for those that nobody read', (at) => {
    const parts = at.node.outputs.map((_, index) => at.gradient(index));
    return [at.emit.op('Concat', parts, { axis: at.node.int('axis', 0) }, at.input(0).type)];
  }),
  rule('Slice', 'g with zeros around it; other steps than 1: scattered to its places', sliced),
  padded,
  rule('Tile', 'Σ g over the copies', (at) => [untiled(at)]),
  rule('DepthToSpace', 'SpaceToDepth of g', (at) => [spaceToDepth(at)]),
  rule('SpaceToDepth', 'DepthToSpace of g', (at) => [
    at.emit.op(
      'DepthToSpace',
      [at.gradient()],
      { blocksize: at.node.int('blocksize', 1), mode: 'DCR' },
      at.input(0).type,
    ),
  ]),
  rule('Trilu', 'the same triangle of g', (at) => [
    at.emit.op(
      'Trilu',
      [at.gradient(), at.node.inputs[1]],
      { upper: at.node.int('upper', 1) },
      at.input(0).type,
    ),
  ]),
  rule('Resize', 'linear on each axis: g times the transposed matrix of the axis', (at) => [axesMatrix(at)]),
];
