/** Backwards through operators that are linear along each axis by itself: Resize, and Pad of every mode. */
import { constantNumbers } from '../ir/constant.js';
import type { Value } from '../ir/graph.js';
import { Tensor } from '../ir/tensor.js';
import { tensorType } from '../ir/type.js';
import { dtypeOf } from './emit.js';
import { type Backward, fixedSizes, unsupported } from './rule.js';

/**
 * The gradient of input 0. Along an axis of n elements that becomes one of m, such an operator multiplies by a matrix
 * R [n, m], which it tells itself when it is applied to the unit matrix; the way back multiplies by Rᵀ. So the gradient
 * follows the executor's own idea of coordinates, rounding and margins.
 */
export function axesMatrix(at: Backward): Value {
  const { emit, node } = at;
  const x = at.input(0);
  const from = fixedSizes(x, node);
  const to = fixedSizes(node.outputs[0]!, node);
  let g = at.gradient();
  from.forEach((n, axis) => {
    const m = to[axis]!;
    if (n === m && !changes(at, axis, from.length)) return;
    const matrix = node.is('Pad') ? margins(at, axis, n) : resized(at, axis, n, m);
    const turned = emit.reshape(matrix, [n, m]);
    // The axis goes to the end, is multiplied by Rᵀ [m, n], and goes back.
    const order = from.map((_, each) => each).filter((each) => each !== axis);
    const perm = [...order, axis];
    const last = emit.transpose(g, perm);
    const sizes = [...order.map((each) => last.shape![order.indexOf(each)] as number), n];
    const product = emit.op(
      'MatMul',
      [last, emit.transpose(turned, [1, 0])],
      {},
      tensorType(dtypeOf(x), sizes),
    );
    g = emit.transpose(
      product,
      perm.map((_, each) => perm.indexOf(each)),
    );
  });
  return g;
}

/** Equal sizes may hide a shift: margins of −1 and +1. */
function changes({ node }: Backward, axis: number, rank: number): boolean {
  if (!node.is('Pad')) return false;
  const [before, after] = padsOf(node.inputs[1], node.inputs[3], axis, rank) ?? [1, 1];
  return before !== 0 || after !== 0;
}

function padsOf(
  pads: Value | undefined,
  axes: Value | undefined,
  axis: number,
  rank: number,
): [number, number] | undefined {
  const numbers = constantNumbers(pads);
  if (numbers === undefined) return undefined;
  const listed = axes === undefined ? numbers.slice(rank).map((_, each) => each) : constantNumbers(axes);
  const place = listed?.findIndex((each) => (each < 0 ? each + rank : each) === axis);
  if (place === undefined) return undefined;
  return place < 0 ? [0, 0] : [numbers[place]!, numbers[place + listed!.length]!];
}

function unit({ emit, input }: Backward, n: number, shape: readonly number[]): Value {
  const dtype = dtypeOf(input(0));
  const eye = Array.from({ length: n * n }, (_, at) => (at % (n + 1) === 0 ? 1 : 0));
  const matrix = dtype === 'double' ? Float64Array.from(eye) : Float32Array.from(eye);
  const stored = dtype === 'double' ? 'double' : 'float';
  return emit.cast(emit.constant(Tensor.of(stored, shape, matrix), `unit_${n}`), dtype);
}

function margins(at: Backward, axis: number, n: number): Value {
  const { emit, node } = at;
  const pads = padsOf(node.inputs[1], node.inputs[3], axis, fixedSizes(at.input(0), node).length);
  if (pads === undefined) throw unsupported(node, 'margins that are computed');
  const [before, after] = pads;
  const margin = emit.ints([0, before, 0, after]);
  return emit.op('Pad', [unit(at, n, [n, n]), margin], { mode: node.string('mode', 'constant') });
}

function resized(at: Backward, axis: number, n: number, m: number): Value {
  const { emit, node } = at;
  if (node.string('keep_aspect_ratio_policy', 'stretch') !== 'stretch')
    throw unsupported(node, 'keep_aspect_ratio_policy');
  if (node.string('coordinate_transformation_mode') === 'tf_crop_and_resize')
    throw unsupported(node, 'tf_crop_and_resize');
  const rank = fixedSizes(at.input(0), node).length;
  const axes = node.ints('axes')?.map((each) => (each < 0 ? each + rank : each));
  const place = axes === undefined ? axis : axes.indexOf(axis);
  const scales = constantNumbers(node.inputs[2]);
  const scale = scales?.length ? scales[place] : undefined;
  if (node.inputs[2] !== undefined && scales === undefined) throw unsupported(node, 'computed scales');
  const attributes = Object.fromEntries([...node.attributes].filter(([name]) => name !== 'axes'));
  // Four dimensions: no interpolation is refused on the last two of those.
  const eye = unit(at, n, [1, 1, n, n]);
  if (scale === undefined) {
    return emit.op('Resize', [eye, undefined, undefined, emit.ints([1, 1, n, m])], attributes);
  }
  const factors = emit.constant(Tensor.floats([1, 1, 1, scale]), 'scales');
  return emit.op('Resize', [eye, undefined, factors], attributes);
}
