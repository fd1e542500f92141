/** Gradients of arithmetic: element by element, with broadcasting. */
import type { Value } from '../../ir/graph.js';
import { type Backward, type GradientRule, rule } from '../rule.js';

/** A rule of one input and one output: the factor that the cotangent is multiplied by. */
const scaled = (
  ops: string,
  doc: string,
  factor: (at: Backward, x: Value, y: Value) => Value,
): GradientRule =>
  rule(ops, doc, (at) => [at.emit.op('Mul', [at.gradient(), factor(at, at.input(0), at.node.outputs[0]!)])]);

/** Each input gets its own cotangent, summed to its shape. */
const each = (at: Backward, gradientOf: (index: number) => Value): (Value | undefined)[] =>
  at.node.inputs.map((input, index) =>
    input && at.wants(index) ? at.emit.sumTo(gradientOf(index), input) : undefined,
  );

/** 1 where a input is the extreme one, shared among equals, so that the parts add up to the whole. */
const extreme = rule('Max Min', 'g where the input is the extreme one; equals share it', (at) => {
  const { emit } = at;
  const y = at.node.outputs[0]!;
  const masks = at.node.inputs.map((input) => emit.cast(emit.op('Equal', [input, y]), y));
  const count = emit.total(masks);
  const share = emit.op('Div', [at.gradient(), count]);
  return each(at, (index) => emit.op('Mul', [share, masks[index]]));
});

const power = rule('Pow', 'dx = g·c·x^(c−1); dc = g·y·ln x where x > 0, else 0', (at) => {
  const { emit } = at;
  const [x, given] = [at.input(0), at.input(1)];
  const c = emit.cast(given, x);
  const g = at.gradient();
  const gradients: (Value | undefined)[] = [undefined, undefined];
  if (at.wants(0)) {
    const square = given.constant?.count === 1 && given.constant.toNumbers()[0] === 2;
    const root = square ? x : emit.op('Pow', [x, emit.op('Sub', [c, emit.scalar(1, x)])]);
    gradients[0] = emit.sumTo(emit.op('Mul', [g, emit.op('Mul', [root, c])]), x);
  }
  if (at.wants(1)) {
    const positive = emit.op('Greater', [x, emit.scalar(0, x)]);
    const log = emit.op('Log', [emit.op('Where', [positive, x, emit.scalar(1, x)])]);
    gradients[1] = emit.sumTo(emit.op('Mul', [emit.op('Mul', [g, at.node.outputs[0]]), log]), given);
  }
  return gradients;
});

const clip = rule('Clip', 'g where lo ≤ x ≤ hi; dlo = Σ g where x < lo; dhi = Σ g where x > hi', (at) => {
  const { emit, node } = at;
  const g = at.gradient();
  const x = at.input(0);
  const [, low, high] = node.inputs;
  const zero = emit.scalar(0, x);
  const above = low && emit.op('GreaterOrEqual', [x, low]);
  const below = high && emit.op('LessOrEqual', [x, high]);
  const inside = above && below ? emit.op('And', [above, below]) : (above ?? below);
  return [
    at.wants(0) ? (inside ? emit.op('Where', [inside, g, zero]) : g) : undefined,
    low && at.wants(1) ? emit.sumTo(emit.op('Where', [above, zero, g]), low) : undefined,
    high && at.wants(2) ? emit.sumTo(emit.op('Where', [below, zero, g]), high) : undefined,
  ];
});

/** 1/√(offset + sign·x²) */
function inverseRoot({ emit }: Backward, x: Value, offset: number, sign: number): Value {
  const square = emit.op('Mul', [emit.op('Mul', [x, x]), emit.scalar(sign, x)]);
  return emit.op('Reciprocal', [emit.op('Sqrt', [emit.op('Add', [square, emit.scalar(offset, x)])])]);
}

export const ARITHMETIC: readonly GradientRule[] = [
  rule('Add', 'da = Σ g, db = Σ g over what was broadcast', (at) => each(at, () => at.gradient())),
  rule('Sum', 'each input: Σ g over what was broadcast', (at) => each(at, () => at.gradient())),
  rule('Mean', 'each of n inputs: Σ g/n over what was broadcast', (at) => {
    const y = at.node.outputs[0]!;
    const share = at.emit.op('Mul', [at.gradient(), at.emit.scalar(1 / at.node.inputs.length, y)]);
    return each(at, () => share);
  }),
  rule('Sub', 'da = Σ g, db = −Σ g', (at) =>
    each(at, (index) => (index === 0 ? at.gradient() : at.emit.op('Neg', [at.gradient()]))),
  ),
  rule('Mul', 'da = Σ g·b, db = Σ g·a', (at) =>
    each(at, (index) => at.emit.op('Mul', [at.gradient(), at.input(1 - index)])),
  ),
  rule('Div', 'da = Σ g/b, db = −Σ (g/b)·y', (at) => {
    const quotient = at.emit.op('Div', [at.gradient(), at.input(1)]);
    return each(at, (index) =>
      index === 0 ? quotient : at.emit.op('Neg', [at.emit.op('Mul', [quotient, at.node.outputs[0]])]),
    );
  }),
  rule('Neg', '−g', (at) => [at.emit.op('Neg', [at.gradient()])]),
  rule('Identity Round', 'g (Round: straight-through, so that fake quantization can be trained)', (at) => [
    at.gradient(),
  ]),
  rule('Cast', 'g cast back', (at) => [at.emit.cast(at.gradient(), at.input(0))]),
  scaled('Exp', 'g·y', (_, __, y) => y),
  rule('Log', 'g/x', (at) => [at.emit.op('Div', [at.gradient(), at.input(0)])]),
  rule('Sqrt', 'g/(2y)', (at) => {
    const half = at.emit.op('Mul', [at.gradient(), at.emit.scalar(0.5, at.input(0))]);
    return [at.emit.op('Div', [half, at.node.outputs[0]])];
  }),
  scaled('Reciprocal', '−g·y²', ({ emit }, _, y) => emit.op('Neg', [emit.op('Mul', [y, y])])),
  scaled('Abs', 'g·sign x', ({ emit }, x) => emit.op('Sign', [x])),
  scaled('Sin', 'g·cos x', ({ emit }, x) => emit.op('Cos', [x])),
  scaled('Cos', '−g·sin x', ({ emit }, x) => emit.op('Neg', [emit.op('Sin', [x])])),
  scaled('Tan', 'g·(1 + y²)', ({ emit }, x, y) =>
    emit.op('Add', [emit.op('Mul', [y, y]), emit.scalar(1, x)]),
  ),
  scaled('Sinh', 'g·cosh x', ({ emit }, x) => emit.op('Cosh', [x])),
  scaled('Cosh', 'g·sinh x', ({ emit }, x) => emit.op('Sinh', [x])),
  scaled('Atan', 'g/(1 + x²)', ({ emit }, x) =>
    emit.op('Reciprocal', [emit.op('Add', [emit.op('Mul', [x, x]), emit.scalar(1, x)])]),
  ),
  scaled('Asin', 'g/√(1 − x²)', (at, x) => inverseRoot(at, x, 1, -1)),
  scaled('Acos', '−g/√(1 − x²)', (at, x) => at.emit.op('Neg', [inverseRoot(at, x, 1, -1)])),
  scaled('Asinh', 'g/√(1 + x²)', (at, x) => inverseRoot(at, x, 1, 1)),
  scaled('Acosh', 'g/√(x² − 1)', (at, x) => inverseRoot(at, x, -1, 1)),
  scaled('Atanh', 'g/(1 − x²)', ({ emit }, x) =>
    emit.op('Reciprocal', [emit.op('Sub', [emit.scalar(1, x), emit.op('Mul', [x, x])])]),
  ),
  power,
  extreme,
  clip,
  rule('Where', 'da = Σ g where c, db = Σ g elsewhere', (at) => {
    const { emit } = at;
    const zero = emit.scalar(0, at.node.outputs[0]!);
    const g = at.gradient();
    const c = at.input(0);
    return each(at, (index) => emit.op('Where', index === 1 ? [c, g, zero] : [c, zero, g]));
  }),
];
