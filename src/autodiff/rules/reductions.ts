/** Gradients of reductions. The cotangent is put back on the axes that were reduced, and spread over them. */
import { constantNumbers } from '../../ir/constant.js';
import type { Value } from '../../ir/graph.js';
import { tensorType } from '../../ir/type.js';
import { type Backward, type GradientRule, rankOf, rule } from '../rule.js';

/** A value in the output's shape, with the reduced axes back as 1, so that it broadcasts against the input. */
function keptDims(at: Backward, value: Value): Value {
  const { emit, node } = at;
  if (node.int('keepdims', 1) !== 0) return value;
  const axes = node.inputs[1];
  const numbers = constantNumbers(axes);
  const x = at.input(0);
  // No axes: everything was reduced to one element (or nothing was), which broadcasts as it is.
  if (axes === undefined || numbers?.length === 0) return value;
  const shape = numbers && x.shape?.map((dim, axis) => (has(numbers, axis, x.shape!.length) ? 1 : dim));
  return emit.op('Unsqueeze', [value, axes], {}, tensorType(value.dtype!, shape));
}

const has = (axes: readonly number[], axis: number, rank: number): boolean =>
  axes.includes(axis) || axes.includes(axis - rank);

const spread = (at: Backward, value: Value): Value => {
  const x = at.input(0);
  return at.emit.op('Expand', [value, at.emit.shapeOf(x)], {}, tensorType(x.dtype!, x.shape));
};

/** A rule whose gradient is a factor of the input's shape times the cotangent. */
const weighted = (
  ops: string,
  doc: string,
  factor: (at: Backward, x: Value, y: Value) => Value,
): GradientRule =>
  rule(ops, doc, (at) => {
    const y = keptDims(at, at.node.outputs[0]!);
    return [at.emit.op('Mul', [keptDims(at, at.gradient()), factor(at, at.input(0), y)])];
  });

const extreme = rule('ReduceMax ReduceMin', 'g at the extreme elements; equals share it', (at) => {
  const { emit } = at;
  const x = at.input(0);
  const y = keptDims(at, at.node.outputs[0]!);
  const mask = emit.cast(emit.op('Equal', [x, y]), x);
  const count = emit.op('ReduceSum', [mask, at.node.inputs[1]], {
    keepdims: 1,
    noop_with_empty_axes: at.node.int('noop_with_empty_axes', 0),
  });
  return [emit.op('Mul', [mask, emit.op('Div', [keptDims(at, at.gradient()), count])])];
});

/** Σ over the later instead of the earlier elements, and the other way round. */
const cumulative = rule('CumSum', 'CumSum of g from the other end', (at) => {
  const { emit, node } = at;
  const attributes = { exclusive: node.int('exclusive', 0), reverse: 1 - node.int('reverse', 0) };
  return [emit.op('CumSum', [at.gradient(), at.input(1)], attributes)];
});

/** Axes of a picture: all behind the channels. */
const spatial = (at: Backward): number[] =>
  Array.from({ length: rankOf(at.input(0), at.node) - 2 }, (_, axis) => axis + 2);

export const REDUCTIONS: readonly GradientRule[] = [
  rule('ReduceSum', 'g, spread over the reduced axes', (at) => [spread(at, keptDims(at, at.gradient()))]),
  rule('ReduceMean', 'g/n, spread over the n reduced elements', (at) => {
    const share = at.emit.share(at.input(0), at.node.outputs[0]!);
    const part = at.emit.op('Div', [at.gradient(), at.emit.cast(share, at.input(0))]);
    return [spread(at, keptDims(at, part))];
  }),
  extreme,
  weighted('ReduceSumSquare', '2·g·x', ({ emit }, x) => emit.op('Mul', [x, emit.scalar(2, x)])),
  weighted('ReduceL1', 'g·sign x', ({ emit }, x) => emit.op('Sign', [x])),
  weighted('ReduceL2', 'g·x/y', ({ emit }, x, y) => emit.op('Div', [x, y])),
  weighted('ReduceLogSumExp', 'g·e^(x − y)', ({ emit }, x, y) => emit.op('Exp', [emit.op('Sub', [x, y])])),
  weighted('ReduceProd', 'g·y/x, where no element is zero', ({ emit }, x, y) => emit.op('Div', [y, x])),
  rule('ReduceLogSum', 'g/Σ x = g·e^(−y), spread', (at) => {
    const inverse = at.emit.op('Exp', [at.emit.op('Neg', [at.node.outputs[0]])]);
    return [spread(at, keptDims(at, at.emit.op('Mul', [at.gradient(), inverse])))];
  }),
  cumulative,
  rule('GlobalAveragePool', 'g/(H·W), spread', (at) => {
    const share = at.emit.cast(at.emit.share(at.input(0), at.node.outputs[0]!), at.input(0));
    return [spread(at, at.emit.op('Div', [at.gradient(), share]))];
  }),
  rule('GlobalMaxPool', 'g at the largest elements of each channel; equals share it', (at) => {
    const { emit } = at;
    const x = at.input(0);
    const mask = emit.cast(emit.op('Equal', [x, at.node.outputs[0]]), x);
    return [emit.op('Mul', [mask, emit.op('Div', [at.gradient(), emit.sum(mask, spatial(at))])])];
  }),
];
