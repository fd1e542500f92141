/** Elementwise operators of several inputs, which are broadcast. */
import type { Emitter, Operand } from '../emitter.js';
import { isRealConstant } from '../grid.js';
import type { Layout } from '../layout.js';
import type { TfOptions } from '../model.js';
import { shapeOf } from '../refusal.js';
import { FUSED_ACTIVATIONS, type OperatorName } from '../schema.js';
import type { Unit } from '../unit.js';
import { type Lowering, layoutAmong } from './lowering.js';

const computed = (unit: Unit): number[] =>
  unit.node.inputs.flatMap((input, index) => (isRealConstant(input) ? [] : [index]));

/** The layout that all inputs can be broadcast in. */
export function broadcastLayout(unit: Unit, e: Emitter): Layout {
  const rank = shapeOf(unit.node.outputs[0]!).length;
  const whole = computed(unit).filter((index) => shapeOf(unit.node.inputs[index]!).length === rank);
  return rank < 3 ? 'plain' : layoutAmong(unit, e, whole);
}

/** An input for broadcasting: dimensions of 1 are put in front before its order is changed. */
export function broadcast(unit: Unit, e: Emitter, index: number, layout: Layout): Operand {
  const { node } = unit;
  const rank = shapeOf(node.outputs[0]!).length;
  const value = node.inputs[index]!;
  const shape = shapeOf(value);
  if (layout === 'plain' || shape.length === rank) return e.read(unit, index, layout);
  if (isRealConstant(value)) {
    // A number is broadcast as it is.
    if (shape.every((dim) => dim === 1)) return e.read(unit, index, 'plain');
    const plain = e.read(unit, index, 'plain');
    return e.stored(value, layout, { ...(plain.grid && { grid: plain.grid }), rank, node });
  }
  const wide = e.reshape(e.read(unit, index, 'plain'), [
    ...Array(rank - shape.length).fill(1),
    ...shape,
  ] as number[]);
  return e.transpose(wide, [0, ...Array.from({ length: rank - 2 }, (_, axis) => axis + 2), 1]);
}

function binary(op: OperatorName): Lowering['lower'] {
  return (unit, e) => {
    const layout = broadcastLayout(unit, e);
    const [a, b] = [broadcast(unit, e, 0, layout), broadcast(unit, e, 1, layout)];
    const options: TfOptions = op === 'POW' ? {} : { fused: FUSED_ACTIVATIONS[unit.fused] };
    e.into(unit, layout, (y) => e.operator(op, [a, b], options, [y]));
  };
}

/** Add of several, two at a time; in float alone, since integers between would need ranges. */
function sum(unit: Unit, e: Emitter): void {
  const layout = broadcastLayout(unit, e);
  const inputs = unit.node.inputs.map((_, index) => broadcast(unit, e, index, layout));
  chained(unit, e, layout, inputs, (pair, y) => e.operator('ADD', pair, { fused: 0 }, [y]));
}

function broadcastShape(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  const dim = (shape: readonly number[], axis: number): number => shape[shape.length - rank + axis] ?? 1;
  return Array.from({ length: rank }, (_, axis) => Math.max(dim(a, axis), dim(b, axis)));
}

function chained(
  unit: Unit,
  e: Emitter,
  layout: Layout,
  inputs: readonly Operand[],
  emit: (pair: readonly Operand[], output: Operand) => void,
  grid?: Operand['grid'],
): void {
  if (inputs.length === 1) {
    e.alias(unit, layout, inputs[0]!);
    return;
  }
  e.into(
    unit,
    layout,
    (y) => {
      let left = inputs[0]!;
      inputs.slice(1).forEach((right, index) => {
        const last = index === inputs.length - 2;
        const shape = last ? y.shape : broadcastShape(left.shape, right.shape);
        const output = last ? y : e.tensor('partly', shape, y.type, y.grid && { grid: y.grid });
        emit([left, right], output);
        left = output;
      });
    },
    { grid },
  );
}

/** The format compares integers as they stand: all of them lie on the result's grid. */
function extreme(op: 'MAXIMUM' | 'MINIMUM'): Lowering['lower'] {
  return (unit, e) => {
    const layout = broadcastLayout(unit, e);
    const { grid } = unit.results[0]!;
    const rank = shapeOf(unit.node.outputs[0]!).length;
    const inputs = unit.node.inputs.map((input, index) =>
      grid && isRealConstant(input)
        ? e.stored(input!, layout, { grid, rank, node: unit.node })
        : e.requantized(broadcast(unit, e, index, layout), grid),
    );
    chained(unit, e, layout, inputs, (pair, y) => e.operator(op, pair, {}, [y]));
  };
}

const of = (lower: Lowering['lower'], more: Partial<Lowering> = {}): Lowering => ({
  int8: true,
  layout: 'any',
  lower,
  ...more,
});

export const ARITHMETIC: Readonly<Record<string, Lowering>> = {
  Add: of(binary('ADD'), { fuses: true }),
  Sub: of(binary('SUB'), { fuses: true }),
  Mul: of(binary('MUL'), { fuses: true }),
  Div: of(binary('DIV'), { int8: false, fuses: true }),
  Pow: of(binary('POW'), { int8: false }),
  Sum: of(sum, { int8: false }),
  Max: of(extreme('MAXIMUM')),
  Min: of(extreme('MINIMUM')),
};
