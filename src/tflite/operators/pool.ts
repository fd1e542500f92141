/** Pools: windows, and whole images. */
import type { Node } from '../../ir/graph.js';
import type { Emitter, Operand } from '../emitter.js';
import { isDequantize } from '../grid.js';
import { axisIn, type Layout } from '../layout.js';
import { refuse, shapeOf } from '../refusal.js';
import { FUSED_ACTIVATIONS, type OperatorName, PADDING } from '../schema.js';
import type { Unit } from '../unit.js';
import { intoSpread, padded, padsAround, spread, stepsOf } from './convolution.js';
import { type Lowering, layoutAmong } from './lowering.js';
import { paddingOf, type Window, windowOf } from './window.js';

/** Less than every float that a network computes, and finite, since kernels clamp. */
const LOWEST = -3.4028234663852886e38;

/** Nothing that is read is below zero, so that zeros around it never win. */
function neverNegative({ node, int8 }: Unit, x: Operand): boolean {
  if (int8) return x.grid!.zeroPoint === -128;
  const producer = node.inputs[0]!.producer;
  return producer !== undefined && !isDequantize(producer) && (producer.is('Relu') || producer.is('Sigmoid'));
}

/** What never wins, around height and width. */
function paddedLow(unit: Unit, e: Emitter, x: Operand, window: Window): Operand {
  if (neverNegative(unit, x)) return padded(e, x, window);
  const { pads, shape } = padsAround(x, window);
  const lowest = e.scalar(x.grid ? (-128 - x.grid.zeroPoint) * x.grid.scale : LOWEST, x.grid);
  return e.apply('PADV2', [x, e.ints(pads, [4, 2]), lowest], {}, shape, { name: 'padded' });
}

function pool(op: 'MAX_POOL_2D' | 'AVERAGE_POOL_2D'): Lowering['lower'] {
  return (unit, e) => {
    const { node } = unit;
    const input = shapeOf(node.inputs[0]!).slice(2);
    const output = shapeOf(node.outputs[0]!).slice(2);
    const window = windowOf(node, node.ints('kernel_shape', []), input, output);
    if (window.dilations.some((step) => step !== 1)) refuse(node, 'it has dilations');
    if (unit.results.length > 1 && node.outputs[1]!.uses.length > 0) refuse(node, 'its indices are read');
    let x = spread(e, e.read(unit, 0, 'last'));
    let padding = paddingOf(window, input);
    const average = op === 'AVERAGE_POOL_2D';
    if (average && padding !== 'valid') {
      // SAME leaves out of the mean what it pads; a pad of zeros counts.
      const counts = node.int('count_include_pad', 0) === 1;
      if (counts && node.int('ceil_mode', 0) === 1)
        refuse(node, 'it rounds sizes up and counts what it pads');
      if (counts) padding = undefined;
      else if (padding === undefined) refuse(node, 'it leaves uneven padding out of its means');
    }
    if (padding === undefined) {
      x = average ? padded(e, x, window) : paddedLow(unit, e, x, window);
      padding = 'valid';
    }
    const [filterH, filterW] = window.kernel;
    const options = {
      padding: PADDING[padding],
      ...stepsOf(window),
      filterH: filterH!,
      filterW: filterW!,
      fused: FUSED_ACTIVATIONS.none,
    };
    // Integer pools move bytes: what they give lies on the grid of what they read.
    intoSpread(unit, e, (y) => e.operator(op, [x], options, [y]), x.grid);
  };
}

/** Reduces the axes that a unit says, and keeps them as dimensions of 1 where `keep`. */
export function reduce(
  unit: Unit,
  e: Emitter,
  op: OperatorName,
  axes: readonly number[],
  keep: boolean,
): void {
  const { node } = unit;
  const rank = shapeOf(node.inputs[0]!).length;
  const front = axes.map((axis) => (axis < 0 ? axis + rank : axis)).sort((a, b) => a - b);
  const lies = layoutAmong(unit, e, [0]);
  // Dimensions that stay come out in ONNX's order, unless a spatial one stays before the channels.
  const mixed = !front.includes(1) && rank >= 3 && !range(2, rank).every((axis) => front.includes(axis));
  const layout: Layout = lies === 'last' && (keep || !mixed) ? 'last' : 'plain';
  const x = e.read(unit, 0, layout);
  const at = e.ints(front.map((axis) => axisIn(axis, layout, rank)).sort((a, b) => a - b));
  const moves = op === 'REDUCE_MAX' || op === 'REDUCE_MIN';
  e.into(unit, keep ? layout : 'plain', (y) => e.operator(op, [x, at], { keepDims: keep }, [y]), {
    grid: moves ? x.grid : undefined,
  });
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, index) => from + index);

const global =
  (op: OperatorName): Lowering['lower'] =>
  (unit, e) =>
    reduce(unit, e, op, range(2, shapeOf(unit.node.inputs[0]!).length), true);

/** The window is the image, without padding: the mean may then have a grid of its own, finer than that of what it reads. */
function averagesAll(node: Node): boolean {
  const image = shapeOf(node.inputs[0]!).slice(2);
  const window = node.ints('kernel_shape', []);
  const plain = ['pads', 'dilations'].every((each, at) => node.ints(each, []).every((value) => value === at));
  return (
    plain && !/^SAME/.test(node.string('auto_pad', '')) && image.every((dim, axis) => dim === window[axis])
  );
}

const average: Lowering['lower'] = (unit, e) =>
  (averagesAll(unit.node) ? global('MEAN') : pool('AVERAGE_POOL_2D'))(unit, e);

export const POOLS: Readonly<Record<string, Lowering>> = {
  MaxPool: { int8: true, layout: 'last', lower: pool('MAX_POOL_2D') },
  AveragePool: { int8: true, layout: 'last', lower: average },
  GlobalAveragePool: { int8: true, layout: 'any', lower: global('MEAN') },
  GlobalMaxPool: { int8: true, layout: 'any', lower: global('REDUCE_MAX') },
};
