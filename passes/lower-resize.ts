import {
  constantNumbers,
  isStatic,
  type Node,
  no,
  node,
  type ReplacementInput,
  readsFunctionAttributes,
  rewrite,
  Tensor,
  type Value,
  value,
} from '../src/index.js';

interface Match {
  readonly x: Value;
  readonly roi?: Value | undefined;
  readonly scales?: Value | undefined;
  readonly sizes?: Value | undefined;
  readonly resize: Node;
}

const float = Math.fround;

/** Where ONNX Runtime looks for an output place along an axis, in float32 as it computes. */
function origin(place: number, scale: number, from: number, to: number, mode: string): number | undefined {
  switch (mode) {
    case 'asymmetric':
      return float(place / scale);
    case 'half_pixel':
      return float(float((place + 0.5) / scale) - 0.5);
    case 'pytorch_half_pixel':
      return to > 1 ? float(float((place + 0.5) / scale) - 0.5) : 0;
    case 'align_corners':
      return to === 1 ? 0 : float(float(place * (from - 1)) / (to - 1));
    default:
      return undefined;
  }
}

function nearest(at: number, mode: string): number | undefined {
  const floor = Math.floor(at);
  switch (mode) {
    case 'floor':
      return floor;
    case 'ceil':
      return Math.ceil(at);
    case 'round_prefer_floor':
      return at === floor + 0.5 ? floor : Math.round(at);
    case 'round_prefer_ceil':
      return Math.round(at);
    default:
      return undefined;
  }
}

/** For each axis the place that every output element is taken from; a reason where that cannot be told. */
function placesOf({ x, scales, sizes, resize }: Match): number[][] | string {
  const to = resize.outputs[0]!.shape;
  if (!isStatic(x.shape) || !isStatic(to)) return 'its sizes are not known';
  const factors = scales ? constantNumbers(scales) : undefined;
  if (scales && scales.shape?.[0] !== 0 && factors === undefined) return 'its scales are not constant';
  if (resize.attributes.has('axes') || resize.string('keep_aspect_ratio_policy', 'stretch') !== 'stretch')
    return 'it resizes some axes, or keeps their ratio';
  const mode = resize.string('coordinate_transformation_mode', 'half_pixel');
  const rounding = resize.string('nearest_mode', 'round_prefer_floor');
  const places: number[][] = [];
  for (const [axis, from] of x.shape.entries()) {
    const size = to[axis]!;
    const scale = float(factors && !sizes ? factors[axis]! : size / from);
    const along: number[] = [];
    for (let place = 0; place < size; place++) {
      const at = from === size ? place : origin(place, scale, from, size, mode);
      const rounded = at === undefined ? undefined : nearest(at, rounding);
      if (rounded === undefined) return `it goes by ${mode} and ${rounding}`;
      along.push(Math.min(from - 1, Math.max(0, rounded)));
    }
    places.push(along);
  }
  return places;
}

const isPlain = (resize: Node): boolean =>
  resize.string('coordinate_transformation_mode', 'half_pixel') === 'asymmetric' &&
  resize.string('nearest_mode', 'round_prefer_floor') === 'floor';

/** Whole multiples by repeating are what `asymmetric` and `floor` give. */
const repeats = (along: readonly number[], from: number): boolean =>
  along.length % from === 0 && along.every((place, at) => place === Math.floor(at / (along.length / from)));

/**
 * Every output element of a nearest Resize is some input element: which one is computed here, place by place. Where
 * whole multiples come out by repeating, it is said so; elsewhere the places become Gathers along the axes that change.
 */
export const lowerResize = rewrite({
  name: 'lower-resize',
  doc: 'nearest Resize by any rule → asymmetric and floor where that is the same, else Gathers',
  needs: ['typed'],
  opset: 13,
  bind: { x: value, roi: value.optional, scales: value.optional, sizes: value.optional, resize: node },
  pattern: (op, $) => $.resize(op.Resize($.x, $.roi, $.scales, $.sizes)),
  check: (match) => {
    const { resize } = match;
    if (readsFunctionAttributes(resize)) return no('the caller decides its attributes', resize);
    if (resize.string('mode', 'nearest') !== 'nearest') return no('it interpolates', resize);
    if (isPlain(resize)) return no('it is plain already', resize);
    const places = placesOf(match);
    return typeof places !== 'string' || no(places, resize);
  },
  replace: (match, op) => {
    const { x } = match;
    const shape = x.shape as readonly number[];
    const places = placesOf(match) as number[][];
    if (places.every((along, axis) => repeats(along, shape[axis]!))) {
      const scales = places.map((along, axis) => along.length / shape[axis]!);
      return op.Resize(x, undefined, Tensor.floats(scales), {
        mode: 'nearest',
        coordinate_transformation_mode: 'asymmetric',
        nearest_mode: 'floor',
      });
    }
    let made: ReplacementInput = x;
    for (const [axis, along] of places.entries()) {
      const same = along.length === shape[axis] && along.every((place, at) => place === at);
      if (!same) made = op.Gather(made, Tensor.ints(along), { axis });
    }
    return made;
  },
});
