/** Gradients of activation functions. */
import type { Value } from '../../ir/graph.js';
import type { Emitter } from '../emit.js';
import { type Backward, type GradientRule, rule, unsupported } from '../rule.js';

/** g times a factor. */
const scaled = (
  ops: string,
  doc: string,
  factor: (at: Backward, x: Value, y: Value) => Value,
): GradientRule =>
  rule(ops, doc, (at) => [at.emit.op('Mul', [at.gradient(), factor(at, at.input(0), at.node.outputs[0]!)])]);

/** g where x > bound, and something else elsewhere. */
function where(at: Backward, bound: number, inside: Value, elsewhere: Value): Value {
  const x = at.input(0);
  return at.emit.op('Where', [at.emit.op('Greater', [x, at.emit.scalar(bound, x)]), inside, elsewhere]);
}

/** φ(x) = e^(−x²/2)/√(2π) */
function density(emit: Emitter, x: Value): Value {
  const exponent = emit.op('Mul', [emit.op('Mul', [x, x]), emit.scalar(-0.5, x)]);
  return emit.op('Mul', [emit.op('Exp', [exponent]), emit.scalar(1 / Math.sqrt(2 * Math.PI), x)]);
}

function geluSlope({ emit, node }: Backward, x: Value): Value {
  const number = (value: number) => emit.scalar(value, x);
  const mul = (a: Value, b: Value) => emit.op('Mul', [a, b]);
  const add = (a: Value, b: Value) => emit.op('Add', [a, b]);
  if (node.string('approximate', 'none') === 'none') {
    const share = mul(add(emit.op('Erf', [mul(x, number(Math.SQRT1_2))]), number(1)), number(0.5));
    return add(share, mul(x, density(emit, x)));
  }
  // y = x/2·(1 + t), t = tanh(u), u = √(2/π)·(x + 0.044715·x³)
  const rate = Math.sqrt(2 / Math.PI);
  const square = mul(x, x);
  const t = emit.op('Tanh', [mul(mul(x, add(mul(square, number(0.044715)), number(1))), number(rate))]);
  const slope = mul(add(mul(square, number(3 * 0.044715)), number(1)), number(rate));
  const bend = mul(mul(x, emit.op('Sub', [number(1), mul(t, t)])), slope);
  return mul(add(add(t, number(1)), bend), number(0.5));
}

const hardSwish = scaled('HardSwish', 'g·(0 | x/3 + ½ | 1) by x ≤ −3, between, x ≥ 3', ({ emit }, x) => {
  const number = (value: number) => emit.scalar(value, x);
  const slope = emit.op('Add', [emit.op('Div', [x, number(3)]), number(0.5)]);
  const low = emit.op('Where', [emit.op('LessOrEqual', [x, number(-3)]), number(0), slope]);
  return emit.op('Where', [emit.op('GreaterOrEqual', [x, number(3)]), number(1), low]);
});

const prelu = rule('PRelu', 'dx = g·(1 | slope); dslope = Σ g·x where x < 0', (at) => {
  const { emit } = at;
  const [x, slope] = [at.input(0), at.input(1)];
  const g = at.gradient();
  const negative = emit.op('Less', [x, emit.scalar(0, x)]);
  return [
    at.wants(0) ? emit.op('Where', [negative, emit.op('Mul', [g, slope]), g]) : undefined,
    at.wants(1)
      ? emit.sumTo(emit.op('Where', [negative, emit.op('Mul', [g, x]), emit.scalar(0, x)]), slope)
      : undefined,
  ];
});

const dropout = rule('Dropout', 'g (at inference)', (at) => {
  const training = at.node.inputs[2];
  if (training !== undefined && training.constant?.toNumbers()[0] !== 0)
    throw unsupported(at.node, 'training_mode', 'Export the model for inference.');
  return [at.gradient()];
});

/** Elu, Selu, Celu: γ·x above zero, and below it γ·(α·e^(x/ρ) − α), whose slope is (y + γα)/ρ. */
const exponential = (at: Backward, alpha: number, gamma: number, rho: number): Value => {
  const x = at.input(0);
  const g = at.gradient();
  const number = (value: number) => at.emit.scalar(value, x);
  const bent = at.emit.op('Add', [at.node.outputs[0], number(gamma * alpha)]);
  const below = at.emit.op('Mul', [g, rho === 1 ? bent : at.emit.op('Div', [bent, number(rho)])]);
  return where(at, 0, gamma === 1 ? g : at.emit.op('Mul', [g, number(gamma)]), below);
};

export const ACTIVATIONS: readonly GradientRule[] = [
  rule('Relu', 'g where x > 0', (at) => {
    const y = at.node.outputs[0]!;
    const positive = at.emit.op('Greater', [y, at.emit.scalar(0, y)]);
    return [at.emit.op('Where', [positive, at.gradient(), at.emit.scalar(0, y)])];
  }),
  rule('LeakyRelu', 'g where x > 0, else α·g', (at) => {
    const g = at.gradient();
    return [
      where(at, 0, g, at.emit.op('Mul', [g, at.emit.scalar(at.node.float('alpha', 0.01), at.input(0))])),
    ];
  }),
  rule('ThresholdedRelu', 'g where x > α', (at) => [
    where(at, at.node.float('alpha', 1), at.gradient(), at.emit.scalar(0, at.input(0))),
  ]),
  prelu,
  rule('Elu', 'g where x > 0, else g·(y + α)', (at) => [exponential(at, at.node.float('alpha', 1), 1, 1)]),
  rule('Selu', 'γ·g where x > 0, else g·(y + γα)', (at) => [
    exponential(at, at.node.float('alpha', 1.6732632), at.node.float('gamma', 1.050701), 1),
  ]),
  rule('Celu', 'g where x > 0, else g·(y/α + 1)', (at) => {
    const alpha = at.node.float('alpha', 1);
    return [exponential(at, alpha, 1, alpha)];
  }),
  scaled('Sigmoid', 'g·y·(1 − y)', ({ emit }, x, y) =>
    emit.op('Mul', [y, emit.op('Sub', [emit.scalar(1, x), y])]),
  ),
  rule('HardSigmoid', 'α·g where 0 < y < 1', (at) => {
    const { emit, node } = at;
    const y = node.outputs[0]!;
    const inside = emit.op('And', [
      emit.op('Greater', [y, emit.scalar(0, y)]),
      emit.op('Less', [y, emit.scalar(1, y)]),
    ]);
    const slope = emit.op('Mul', [at.gradient(), emit.scalar(node.float('alpha', 0.2), y)]);
    return [emit.op('Where', [inside, slope, emit.scalar(0, y)])];
  }),
  hardSwish,
  scaled('Tanh', 'g·(1 − y²)', ({ emit }, x, y) =>
    emit.op('Sub', [emit.scalar(1, x), emit.op('Mul', [y, y])]),
  ),
  scaled('Erf', 'g·2/√π·e^(−x²)', ({ emit }, x) => {
    const exponential = emit.op('Exp', [emit.op('Neg', [emit.op('Mul', [x, x])])]);
    return emit.op('Mul', [exponential, emit.scalar(2 / Math.sqrt(Math.PI), x)]);
  }),
  scaled('Softplus', 'g·σ(x)', ({ emit }, x) => emit.op('Sigmoid', [x])),
  scaled('Softsign', 'g/(1 + |x|)²', ({ emit }, x) => {
    const root = emit.op('Add', [emit.op('Abs', [x]), emit.scalar(1, x)]);
    return emit.op('Reciprocal', [emit.op('Mul', [root, root])]);
  }),
  scaled('Mish', 'g·(t + x·σ(x)·(1 − t²)), t = tanh(softplus x)', ({ emit }, x) => {
    const t = emit.op('Tanh', [emit.op('Softplus', [x])]);
    const bend = emit.op('Sub', [emit.scalar(1, x), emit.op('Mul', [t, t])]);
    return emit.op('Add', [t, emit.op('Mul', [emit.op('Mul', [x, emit.op('Sigmoid', [x])]), bend])]);
  }),
  scaled('Gelu', 'g·(Φ(x) + x·φ(x)), or the slope of the tanh form', geluSlope),
  dropout,
];
