/** Gradients of normalizations. All of them recompute what they divided by: a few sums, where a cache would be kept. */

import type { Value } from '../../ir/graph.js';
import { Tensor } from '../../ir/tensor.js';
import { tensorType } from '../../ir/type.js';
import { dtypeOf } from '../emit.js';
import { type Backward, fixedSizes, type GradientRule, rankOf, rule, unsupported } from '../rule.js';

/** x̂ and 1/√(mean (x − m)² + ε) over axes; m = 0 where `centred` is not set. */
function normalized(at: Backward, x: Value, axes: readonly number[], epsilon: number, centred: boolean) {
  const { emit } = at;
  const middle = centred ? emit.op('Sub', [x, emit.mean(x, axes)]) : x;
  const power = emit.mean(emit.op('Mul', [middle, middle]), axes);
  const root = emit.op('Sqrt', [emit.op('Add', [power, emit.scalar(epsilon, x)])]);
  const rate = emit.op('Reciprocal', [root]);
  return { unit: emit.op('Mul', [middle, rate]), rate };
}

/** r·(g − mean g − x̂·mean(g·x̂)), where g already carries γ; the first mean is left out without centring. */
function through(
  at: Backward,
  g: Value,
  unit: Value,
  rate: Value,
  axes: readonly number[],
  centred: boolean,
): Value {
  const { emit } = at;
  const along = emit.op('Mul', [unit, emit.mean(emit.op('Mul', [g, unit]), axes)]);
  const across = centred ? emit.op('Sub', [g, emit.mean(g, axes)]) : g;
  return emit.op('Mul', [emit.op('Sub', [across, along]), rate]);
}

/** The axes from one on, to the last. */
function axesFrom(at: Backward, axis: number): number[] {
  if (axis < 0) return Array.from({ length: -axis }, (_, each) => axis + each);
  const rank = rankOf(at.input(0), at.node);
  return Array.from({ length: rank - axis }, (_, each) => axis + each - rank);
}

const overLastAxes = (ops: string, doc: string, centred: boolean): GradientRule =>
  rule(ops, doc, (at) => {
    const { emit, node } = at;
    const x = at.input(0);
    const gamma = node.inputs[1];
    const beta = node.inputs[2];
    const axes = axesFrom(at, node.int('axis', -1));
    const g = at.gradient();
    const { unit, rate } = normalized(at, x, axes, node.float('epsilon', 1e-5), centred);
    const weighted = gamma ? emit.op('Mul', [g, gamma]) : g;
    return [
      at.wants(0) ? through(at, weighted, unit, rate, axes, centred) : undefined,
      gamma && at.wants(1) ? emit.sumTo(emit.op('Mul', [g, unit]), gamma) : undefined,
      beta && at.wants(2) ? emit.sumTo(g, beta) : undefined,
    ];
  });

/** γ and β of channels, [C], as they broadcast against [N, C, …]. */
const perChannel = (at: Backward, value: Value, rank: number): Value =>
  at.emit.reshape(value, [1, -1, ...new Array<number>(rank - 2).fill(1)]);

const sumPerChannel = (at: Backward, g: Value, like: Value): Value => {
  const axes = Array.from({ length: rankOf(at.input(0), at.node) }, (_, axis) => axis);
  const rest = axes.filter((axis) => axis !== 1);
  return at.emit.op('ReduceSum', [g, at.emit.ints(rest)], { keepdims: 0 }, like.type);
};

/** Instance and group normalization: channels in groups, each normalized over all it has. */
function grouped(at: Backward, groups: number | undefined): (Value | undefined)[] {
  const { emit, node } = at;
  const x = at.input(0);
  const rank = rankOf(x, node);
  const [gamma, beta] = [at.input(1), at.input(2)];
  const g = at.gradient();
  const apart = (value: Value) => (groups === undefined ? value : emit.reshape(value, [0, groups, -1]));
  const axes = groups === undefined ? Array.from({ length: rank - 2 }, (_, axis) => axis + 2) : [2];
  const { unit, rate } = normalized(at, apart(x), axes, node.float('epsilon', 1e-5), true);
  const weighted = apart(emit.op('Mul', [g, perChannel(at, gamma, rank)]));
  return [
    at.wants(0) ? emit.reshapeLike(through(at, weighted, unit, rate, axes, true), x) : undefined,
    at.wants(1) ? sumPerChannel(at, emit.op('Mul', [g, emit.reshapeLike(unit, x)]), gamma) : undefined,
    at.wants(2) ? sumPerChannel(at, g, beta) : undefined,
  ];
}

/** With the statistics of training, which are constants. */
const batch = rule('BatchNormalization', 'dx = g·γ·r, dγ = Σ g·(x − m)·r, dβ = Σ g, dm = −Σ g·γ·r', (at) => {
  const { emit, node } = at;
  if (node.int('training_mode', 0) !== 0)
    throw unsupported(node, 'training_mode', 'Export the model for inference.');
  if (at.wants(4)) throw unsupported(node, 'a trained variance');
  const [x, gamma, beta, mean, variance] = [0, 1, 2, 3, 4].map(at.input) as [
    Value,
    Value,
    Value,
    Value,
    Value,
  ];
  const rank = rankOf(x, node);
  const g = at.gradient();
  const floor = emit.scalar(node.float('epsilon', 1e-5), variance);
  const rate = emit.op('Reciprocal', [emit.op('Sqrt', [emit.op('Add', [variance, floor])])]);
  const slope = perChannel(at, emit.op('Mul', [gamma, rate]), rank);
  const dx = emit.op('Mul', [g, slope]);
  const unit = () =>
    emit.op('Mul', [emit.op('Sub', [x, perChannel(at, mean, rank)]), perChannel(at, rate, rank)]);
  return [
    dx,
    at.wants(1) ? sumPerChannel(at, emit.op('Mul', [g, unit()]), gamma) : undefined,
    at.wants(2) ? sumPerChannel(at, g, beta) : undefined,
    at.wants(3) ? emit.op('Neg', [sumPerChannel(at, dx, mean)]) : undefined,
  ];
});

/** y = x·s^(−β), s = bias + α/size·Σ x² over neighbouring channels: a product with a matrix of bands. */
const local = rule('LRN', 'g·s^(−β) − 2αβ/size·x·Σ g·x·s^(−β−1) over the neighbours', (at) => {
  const { emit, node } = at;
  const x = at.input(0);
  const size = node.int('size', 1);
  const [alpha, beta] = [node.float('alpha', 1e-4), node.float('beta', 0.75)];
  const channels = fixedSizes(x, node, 1)[0]!;
  const reach = [Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2)] as const;
  const bands = Array.from({ length: channels ** 2 }, (_, place) => {
    const shift = (place % channels) - Math.floor(place / channels);
    return shift >= -reach[0] && shift <= reach[1] ? 1 : 0;
  });
  const band = emit.cast(emit.constant(Tensor.floats(bands, [channels, channels]), 'bands'), dtypeOf(x));
  const over = (value: Value, matrix: Value) => {
    const flat = emit.reshape(value, [0, channels, -1]);
    return emit.reshapeLike(emit.op('MatMul', [matrix, flat], {}, tensorType(dtypeOf(x))), x);
  };
  const scaled = emit.op('Mul', [over(emit.op('Mul', [x, x]), band), emit.scalar(alpha / size, x)]);
  const s = emit.op('Add', [scaled, emit.scalar(node.float('bias', 1), x)]);
  const direct = emit.op('Mul', [at.gradient(), emit.op('Pow', [s, emit.scalar(-beta, x)])]);
  const bent = over(emit.op('Div', [emit.op('Mul', [direct, x]), s]), emit.transpose(band, [1, 0]));
  const back = emit.op('Mul', [emit.op('Mul', [bent, x]), emit.scalar((2 * alpha * beta) / size, x)]);
  return [emit.op('Sub', [direct, back])];
});

const toUnitLength = rule(
  'LpNormalization',
  'p = 2: (g − y·Σ g·y)/‖x‖; p = 1: (g − Σ g·y·sign x)/Σ|x|',
  (at) => {
    const { emit, node } = at;
    const x = at.input(0);
    const y = node.outputs[0]!;
    const axes = [node.int('axis', -1)];
    const g = at.gradient();
    const dot = emit.sum(emit.op('Mul', [g, y]), axes);
    const square = node.int('p', 2) === 2;
    const direction = square ? y : emit.op('Sign', [x]);
    const size = square
      ? emit.op('Sqrt', [emit.sum(emit.op('Mul', [x, x]), axes)])
      : emit.sum(emit.op('Abs', [x]), axes);
    return [emit.op('Div', [emit.op('Sub', [g, emit.op('Mul', [direction, dot])]), size])];
  },
);

export const NORMALIZATIONS: readonly GradientRule[] = [
  overLastAxes('LayerNormalization', 'dx = r(gγ − mean gγ − x̂·mean(gγ·x̂)); dγ = Σ g·x̂; dβ = Σ g', true),
  overLastAxes(
    'RMSNormalization SimplifiedLayerNormalization',
    'dx = r(gγ − x̂·mean(gγ·x̂)); dγ = Σ g·x̂',
    false,
  ),
  rule('InstanceNormalization', 'as LayerNormalization over each channel; dγ, dβ a channel', (at) =>
    grouped(at, undefined),
  ),
  rule('GroupNormalization', 'as LayerNormalization over each group; dγ, dβ a channel', (at) =>
    grouped(at, at.node.int('num_groups', 1)),
  ),
  rule('MeanVarianceNormalization', 'r(g − mean g − x̂·mean(g·x̂))', (at) => {
    const axes = at.node.ints('axes', [0, 2, 3]);
    // The deviation, not the variance, gets 1e-9 added there: as good as nothing here.
    const { unit, rate } = normalized(at, at.input(0), axes, 1e-18, true);
    return [through(at, at.gradient(), unit, rate, axes, true)];
  }),
  batch,
  local,
  toUnitLength,
];
