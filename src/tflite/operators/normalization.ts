/** Normalizations, from operators that the format has; in float, since means of squares need more than 8 bits. */
import type { Emitter, Operand } from '../emitter.js';
import { isRealConstant } from '../grid.js';
import { axisIn, type Layout } from '../layout.js';
import { refuse, shapeOf } from '../refusal.js';
import type { Unit } from '../unit.js';
import { type Lowering, layoutAmong } from './lowering.js';

/** (x − mean) / √(variance + ε) · scale + bias, mean and variance over these physical axes. */
function normalize(
  unit: Unit,
  e: Emitter,
  layout: Layout,
  axes: readonly number[],
  [scale, bias]: readonly [Operand, Operand | undefined],
  epsilon: number,
): void {
  const x = e.read(unit, 0, layout);
  const at = e.ints(axes);
  const few = x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
  const keep = { keepDims: true };
  const plain = { fused: 0 };
  const mean = e.apply('MEAN', [x, at], keep, few, { name: 'mean' });
  const centred = e.apply('SUB', [x, mean], plain, x.shape, { name: 'centred' });
  const squares = e.apply('MUL', [centred, centred], plain, x.shape, { name: 'squares' });
  const variance = e.apply('MEAN', [squares, at], keep, few, { name: 'variance' });
  const lifted = e.apply('ADD', [variance, e.scalar(epsilon)], plain, few, { name: 'lifted' });
  const factor = e.apply('RSQRT', [lifted], {}, few, { name: 'factor' });
  const normal = e.apply('MUL', [centred, factor], plain, x.shape, { name: 'normal' });
  e.into(unit, layout, (y) => {
    const scaled = bias ? e.apply('MUL', [normal, scale], plain, x.shape, { name: 'scaled' }) : y;
    if (bias) e.operator('ADD', [scaled, bias], plain, [y]);
    else e.operator('MUL', [normal, scale], plain, [y]);
  });
}

function given({ node }: Unit, e: Emitter, index: number): Operand {
  const value = node.inputs[index];
  if (!isRealConstant(value)) refuse(node, 'its scale or bias is computed while the model runs');
  return e.stored(value!, 'plain', { node });
}

/** Over height and width of each channel. */
function instance(unit: Unit, e: Emitter): void {
  const { node } = unit;
  const rank = shapeOf(node.inputs[0]!).length;
  if (rank < 3) refuse(node, `its input has ${rank} axes`);
  const layout = layoutAmong(unit, e, [0]);
  const axes = Array.from({ length: rank - 2 }, (_, axis) => axisIn(axis + 2, layout, rank));
  const channel = (index: number): Operand => {
    const list = given(unit, e, index);
    return layout === 'last' ? list : e.reshape(list, [list.shape[0]!, ...Array<number>(rank - 2).fill(1)]);
  };
  normalize(unit, e, layout, axes, [channel(1), channel(2)], node.float('epsilon', 1e-5));
}

/** Over the last axes. */
function layer(unit: Unit, e: Emitter): void {
  const { node } = unit;
  const rank = shapeOf(node.inputs[0]!).length;
  const first = node.int('axis', -1);
  const start = first < 0 ? first + rank : first;
  if (node.outputs.slice(1).some((output) => output.uses.length > 0 || output.isOutput))
    refuse(node, 'its mean or its deviation is read');
  const axes = Array.from({ length: rank - start }, (_, index) => start + index);
  const bias = node.inputs[2] ? given(unit, e, 2) : undefined;
  normalize(unit, e, 'plain', axes, [given(unit, e, 1), bias], node.float('epsilon', 1e-5));
}

export const NORMALIZATIONS: Readonly<Record<string, Lowering>> = {
  InstanceNormalization: { int8: false, layout: 'any', lower: instance },
  LayerNormalization: { int8: false, layout: 'plain', lower: layer },
};
