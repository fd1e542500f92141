/** Elementwise functions of one input, and Softmax. */
import type { Emitter, Operand } from '../emitter.js';
import { type Grid, gridOver, isRealConstant } from '../grid.js';
import { axisIn, permutation } from '../layout.js';
import type { TfOptions } from '../model.js';
import { refuse, shapeOf } from '../refusal.js';
import { FUSED_ACTIVATIONS, type OperatorName } from '../schema.js';
import { boundsOf, clampsItself, fusedAs, type Unit } from '../unit.js';
import { broadcast, broadcastLayout } from './arithmetic.js';
import { type Lowering, layoutAmong } from './lowering.js';

/** Grids that the format fixes for what these kernels give (LiteRT 8-bit quantization specification). */
export const FIXED: Readonly<Record<string, Grid>> = {
  LOGISTIC: { scale: 1 / 256, zeroPoint: -128 },
  SOFTMAX: { scale: 1 / 256, zeroPoint: -128 },
  TANH: { scale: 1 / 128, zeroPoint: 0 },
};

type Options = TfOptions;

function unary(op: OperatorName, options: (unit: Unit) => Options = () => ({})): Lowering['lower'] {
  return (unit, e) => {
    const layout = layoutAmong(unit, e, [0]);
    const x = e.read(unit, 0, layout);
    e.into(unit, layout, (y) => e.operator(op, [x], options(unit), [y]), { grid: FIXED[op] });
  };
}

const CLAMPS = { relu: 'RELU', relu6: 'RELU6', 'relu-1-to-1': 'RELU_N1_TO_1' } as const;

/** Relu and Clip: operators of their own where the format has them, else comparisons with the bounds. */
function clamp(unit: Unit, e: Emitter): void {
  const { node, results } = unit;
  const bounds = boundsOf(node);
  if (bounds === undefined) refuse(node, 'its bounds are computed while the model runs');
  const layout = layoutAmong(unit, e, [0]);
  let x = e.read(unit, 0, layout);
  const { grid } = results[0]!;
  const fused = fusedAs(bounds);
  if (grid && clampsItself(grid, bounds)) {
    e.alias(unit, layout, x);
    return;
  }
  if (fused !== undefined && fused !== 'none') {
    e.into(unit, layout, (y) => e.operator(CLAMPS[fused], [x], {}, [y]));
    return;
  }
  for (const [op, bound] of [
    ['MAXIMUM', bounds.min],
    ['MINIMUM', bounds.max],
  ] as const)
    if (Number.isFinite(bound))
      x = e.apply(op, [x, e.scalar(bound, x.grid)], {}, x.shape, { name: 'clamped' });
  e.alias(unit, layout, x);
}

/** relu6(6αx + 6β) / 6, by operators that every delegate has. */
function hardSigmoid(unit: Unit, e: Emitter): void {
  const { node, int8 } = unit;
  const [alpha, beta] = [node.float('alpha', 0.2), node.float('beta', 0.5)];
  const layout = layoutAmong(unit, e, [0]);
  let x = e.read(unit, 0, layout);
  const slope = 6 * alpha;
  const constant = (value: number): Operand =>
    e.scalar(value, int8 ? gridOver(Math.min(0, value), Math.max(0, value)) : undefined);
  if (Math.abs(slope - 1) > 1e-6) {
    if (int8) refuse(node, `its slope is ${alpha}, and in integers only 1/6 is known`);
    x = e.apply('MUL', [x, constant(slope)], { fused: 0 }, x.shape);
  }
  const six = e.apply('ADD', [x, constant(6 * beta)], { fused: FUSED_ACTIVATIONS.relu6 }, x.shape, {
    ...(int8 && { grid: gridOver(0, 6) }),
    name: 'six',
  });
  e.into(unit, layout, (y) => e.operator('MUL', [six, constant(1 / 6)], { fused: 0 }, [y]));
}

/** x · relu6(x + 3) / 6 is an operator. */
const hardSwish = unary('HARD_SWISH');

function prelu(unit: Unit, e: Emitter): void {
  const layout = broadcastLayout(unit, e);
  const x = e.read(unit, 0, layout);
  let slope = broadcast(unit, e, 1, layout);
  // The kernel wants a slope for every dimension behind the batch.
  const rank = x.shape.length - 1;
  if (slope.shape.length > rank) slope = e.reshape(slope, slope.shape.slice(slope.shape.length - rank));
  e.into(unit, layout, (y) => e.operator('PRELU', [x, slope], {}, [y]));
}

/** The format's Softmax works along the last dimension. */
function softmax(unit: Unit, e: Emitter): void {
  const { node } = unit;
  const rank = shapeOf(node.inputs[0]!).length;
  const axis = node.int('axis', -1);
  const emit = (x: Operand, y: Operand): void => e.operator('SOFTMAX', [x], { beta: 1 }, [y]);
  const at = (layout: 'plain' | 'last') => axisIn(axis, layout, rank);
  const lies = layoutAmong(unit, e, [0]);
  const layout =
    at(lies) === rank - 1
      ? lies
      : at('plain') === rank - 1
        ? 'plain'
        : at('last') === rank - 1
          ? 'last'
          : lies;
  const x = e.read(unit, 0, layout);
  if (at(layout) === rank - 1) {
    e.into(unit, layout, (y) => emit(x, y), { grid: FIXED['SOFTMAX'] });
    return;
  }
  const order = x.shape.map((_, index) => index).filter((index) => index !== at(layout));
  const perm = [...order, at(layout)];
  const moved = e.transpose(x, perm);
  const { grid } = x;
  const soft = e.tensor('soft', moved.shape, moved.type, grid && { grid: FIXED['SOFTMAX']! });
  emit(moved, soft);
  const back = permutation(
    perm,
    x.shape.map((_, index) => index),
  );
  e.alias(unit, layout, e.transpose(soft, back));
}

/** Same reals, and nothing else. */
function identity(unit: Unit, e: Emitter): void {
  const layout = layoutAmong(unit, e, [0]);
  e.alias(unit, layout, e.read(unit, 0, layout));
}

function cast(unit: Unit, e: Emitter): void {
  const { node } = unit;
  const [from, to] = [node.inputs[0]!.dtype, node.outputs[0]!.dtype];
  if (from !== to) refuse(node, `it casts ${from} to ${to}`);
  identity(unit, e);
}

/** 1 / x. */
function reciprocal(unit: Unit, e: Emitter): void {
  const layout = layoutAmong(unit, e, [0]);
  const x = e.read(unit, 0, layout);
  e.into(unit, layout, (y) => e.operator('DIV', [e.scalar(1), x], { fused: 0 }, [y]));
}

const of = (lower: Lowering['lower'], int8: Lowering['int8'] = true): Lowering => ({
  int8,
  layout: 'any',
  lower,
});
const alpha = (otherwise: number) => (unit: Unit) => ({ alpha: unit.node.float('alpha', otherwise) });

export const ACTIVATIONS: Readonly<Record<string, Lowering>> = {
  Relu: of(clamp),
  Clip: of(clamp),
  Sigmoid: of(unary('LOGISTIC')),
  Tanh: of(unary('TANH')),
  LeakyRelu: of(unary('LEAKY_RELU', alpha(0.01))),
  PRelu: of(prelu, (node) => isRealConstant(node.inputs[1])),
  Elu: of((unit, e) => {
    if (unit.node.float('alpha', 1) !== 1) refuse(unit.node, 'its alpha is not 1');
    unary('ELU')(unit, e);
  }, false),
  Gelu: of(
    unary('GELU', ({ node }) => ({ approximate: node.string('approximate', 'none') === 'tanh' })),
    false,
  ),
  HardSwish: of(hardSwish),
  HardSigmoid: of(hardSigmoid, (node) => Math.abs(6 * node.float('alpha', 0.2) - 1) < 1e-6),
  Softmax: of(softmax),
  Abs: of(unary('ABS'), false),
  Neg: of(unary('NEG'), false),
  Exp: of(unary('EXP'), false),
  Log: of(unary('LOG'), false),
  Sqrt: of(unary('SQRT'), false),
  Floor: of(unary('FLOOR'), false),
  Ceil: of(unary('CEIL'), false),
  Reciprocal: of(reciprocal, false),
  Identity: of(identity),
  Dropout: of(identity),
  Cast: of(cast, false),
};
