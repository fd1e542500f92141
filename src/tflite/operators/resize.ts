/** Resize and Upsample, where the format samples at the very same places. */
import type { Node } from '../../ir/graph.js';
import type { Emitter } from '../emitter.js';
import { realConstant } from '../grid.js';
import { refuse, shapeOf } from '../refusal.js';
import type { Unit } from '../unit.js';
import type { Lowering } from './lowering.js';

/** Where an output index is read from, in ONNX's words (operator Resize, ai.onnx 19). */
function coordinate(mode: string, at: number, from: number, to: number, scale: number): number | undefined {
  switch (mode) {
    case 'half_pixel':
      return (at + 0.5) / scale - 0.5;
    case 'half_pixel_symmetric': {
      const middle = from / 2;
      const offset = middle * (1 - to / (from * scale));
      return offset + (at + 0.5) / scale - 0.5;
    }
    case 'pytorch_half_pixel':
      return to > 1 ? (at + 0.5) / scale - 0.5 : 0;
    case 'asymmetric':
      return at / scale;
    case 'align_corners':
      return to > 1 ? (at * (from - 1)) / (to - 1) : 0;
    default:
      return undefined;
  }
}

const clamp = (value: number, size: number): number => Math.min(Math.max(value, 0), size - 1);

const ROUNDING: Readonly<Record<string, (x: number) => number>> = {
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

/** The ways in which the format's resizing operators count. */
const WAYS = [
  { alignCorners: false, halfPixelCenters: true },
  { alignCorners: true, halfPixelCenters: false },
  { alignCorners: false, halfPixelCenters: false },
] as const;
type Way = (typeof WAYS)[number];

const ratio = ({ alignCorners }: Way, from: number, to: number): number =>
  alignCorners && to > 1 ? (from - 1) / (to - 1) : from / to;

/** Where the format reads from; for the nearest element an index. */
function place(way: Way, nearest: boolean, at: number, from: number, to: number): number {
  const scale = ratio(way, from, to);
  if (nearest) {
    const exact = (at + (way.halfPixelCenters ? 0.5 : 0)) * scale;
    return clamp(way.alignCorners ? Math.floor(exact + 0.5) : Math.floor(exact), from);
  }
  return clamp(way.halfPixelCenters ? (at + 0.5) * scale - 0.5 : at * scale, from);
}

/** Factors of height and width: those given, or those that sizes make. */
function factorsOf(node: Node, from: readonly number[], to: readonly number[]): number[] {
  const given = node.is('Upsample')
    ? (realConstant(node.inputs[1]) ?? node.floats('scales'))
    : realConstant(node.inputs.length === 2 ? node.inputs[1] : node.inputs[2]);
  const sizes = to.map((size, axis) => size / from[axis]!);
  const axes = node.ints('axes');
  if (given === undefined || given.length === 0) return sizes;
  if (axes === undefined) return Array.from(given);
  return sizes.map((factor, axis) => (axes.includes(axis) ? given[axes.indexOf(axis)]! : factor));
}

/** The way in which the format reads where the node does, for every row and column. */
function wayOf(
  node: Node,
  from: readonly number[],
  to: readonly number[],
  nearest: boolean,
): Way | undefined {
  const mode = node.string(
    'coordinate_transformation_mode',
    node.is('Upsample') ? 'asymmetric' : 'half_pixel',
  );
  const rounding =
    ROUNDING[node.string('nearest_mode', node.is('Upsample') ? 'floor' : 'round_prefer_floor')];
  const factors = factorsOf(node, from, to);
  return WAYS.find((way) =>
    [2, 3].every((axis) => {
      const [size, count] = [from[axis]!, to[axis]!];
      for (let at = 0; at < count; at++) {
        const exact = coordinate(mode, at, size, count, factors[axis]!);
        if (exact === undefined || rounding === undefined) return false;
        // Factors are float32 in the file, which may put an exact middle to either side.
        const wanted = nearest
          ? clamp(rounding(Math.round(exact * 2 ** 20) / 2 ** 20), size)
          : clamp(exact, size);
        if (Math.abs(place(way, nearest, at, size, count) - wanted) > 1e-4) return false;
      }
      return true;
    }),
  );
}

function resize(unit: Unit, e: Emitter): void {
  const { node } = unit;
  const [from, to] = [shapeOf(node.inputs[0]!), shapeOf(node.outputs[0]!)];
  if (from.length !== 4) refuse(node, `it resizes ${from.length} dimensions, and the format four`);
  if (from[0] !== to[0] || from[1] !== to[1]) refuse(node, 'it resizes the batch or the channels');
  const mode = node.string('mode', 'nearest');
  if (mode !== 'nearest' && mode !== 'linear') refuse(node, `its mode is ${mode}`);
  if (node.int('antialias', 0) === 1) refuse(node, 'it smooths against aliasing');
  const nearest = mode === 'nearest';
  const way = wayOf(node, from, to, nearest);
  if (way === undefined) {
    const how = node.string('coordinate_transformation_mode', 'half_pixel');
    refuse(
      node,
      `the format reads other ${nearest ? 'elements' : 'places'} than ${how} from [${from}] to [${to}]`,
    );
  }
  const x = e.read(unit, 0, 'last');
  const size = e.ints([to[2]!, to[3]!]);
  const op = nearest ? 'RESIZE_NEAREST_NEIGHBOR' : 'RESIZE_BILINEAR';
  e.into(unit, 'last', (y) => e.operator(op, [x, size], way, [y]), { grid: x.grid });
}

export const RESIZES: Readonly<Record<string, Lowering>> = {
  Resize: { int8: true, layout: 'last', lower: resize },
  Upsample: { int8: true, layout: 'last', lower: resize },
};
