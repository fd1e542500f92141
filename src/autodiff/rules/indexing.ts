/** Gradients of operators that pick and place elements by index. */
import type { Value } from '../../ir/graph.js';
import { tensorType } from '../../ir/type.js';
import { type Backward, type GradientRule, rankOf, rule, unsupported } from '../rule.js';
import { scatterBack } from '../scatter.js';

/** Rows of a table (Gather on axis 0, embeddings): whole rows are added to zeros. */
function rows(at: Backward): Value {
  const { emit } = at;
  const table = at.input(0);
  const given = emit.cast(at.input(1), 'int64');
  const first = table.shape?.[0];
  const count =
    typeof first === 'number'
      ? emit.ints([first], [])
      : emit.op('Gather', [emit.shapeOf(table), emit.ints([0], [])], { axis: 0 }, tensorType('int64', []));
  // Indices may count from the end, which ScatterND does not take everywhere.
  const negative = emit.op('Less', [given, emit.ints([0], [])]);
  const counted = emit.op('Where', [negative, emit.op('Add', [given, count]), given]);
  const places = emit.op('Unsqueeze', [counted, emit.ints([-1])], {}, tensorType('int64'));
  return emit.op('ScatterND', [emit.full(table), places, at.gradient()], { reduction: 'add' }, table.type);
}

/** Gather on another axis than 0: as on axis 0, the axis brought to the front. */
function gathered(at: Backward): Value {
  const rank = rankOf(at.input(0), at.node);
  const axis = at.node.int('axis', 0);
  return axis === 0 || axis === -rank ? rows(at) : scatterBack(at);
}

const reductionOf = (at: Backward): string => {
  const reduction = at.node.string('reduction', 'none');
  if (reduction !== 'none' && reduction !== 'add') throw unsupported(at.node, `reduction ${reduction}`);
  return reduction;
};

export const INDEXING: readonly GradientRule[] = [
  rule('Gather', 'g added to zeros, row by row; other axes than 0 element by element', (at) => [
    gathered(at),
  ]),
  rule('GatherElements GatherND', 'g added to zeros at the places that were read', (at) => [scatterBack(at)]),
  rule('TopK', 'g at the places that were chosen', (at) => {
    const { emit, node } = at;
    const x = at.input(0);
    const inputs = [emit.full(x), node.outputs[1], at.gradient()];
    return [emit.op('ScatterElements', inputs, { axis: node.int('axis', -1) }, x.type)];
  }),
  rule('ScatterElements', 'data: g, zero where overwritten; updates: g at their places', (at) => {
    const { emit, node } = at;
    const axis = node.int('axis', 0);
    const g = at.gradient();
    const updates = at.input(2);
    const erased = () => emit.op('ScatterElements', [g, at.input(1), emit.full(updates)], { axis }, g.type);
    const reduction = reductionOf(at);
    return [
      at.wants(0) ? (reduction === 'add' ? g : erased()) : undefined,
      undefined,
      at.wants(2) ? emit.op('GatherElements', [g, at.input(1)], { axis }, updates.type) : undefined,
    ];
  }),
  rule('ScatterND', 'data: g, zero where overwritten; updates: g at their places', (at) => {
    const { emit } = at;
    const g = at.gradient();
    const updates = at.input(2);
    const erased = () => emit.op('ScatterND', [g, at.input(1), emit.full(updates)], {}, g.type);
    const reduction = reductionOf(at);
    return [
      at.wants(0) ? (reduction === 'add' ? g : erased()) : undefined,
      undefined,
      at.wants(2) ? emit.op('GatherND', [g, at.input(1)], {}, updates.type) : undefined,
    ];
  }),
];
