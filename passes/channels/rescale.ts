/** Scales channels: what gives a channel gives it s times as large, and what reads it divides by s. */
import {
  addInitializer,
  type Graph,
  type Node,
  type RealDType,
  realArray,
  realsOf,
  removeInitializer,
  setAttribute,
  setInput,
  Tensor,
  type Value,
} from '../../src/index.js';
import type { ChannelAffine } from '../algebra/affine.js';
import { foldAfter, foldBefore } from '../algebra/fold-weights.js';
import { asLinear, LINEAR, type Linear } from '../algebra/linear.js';
import { endsOf } from './ends.js';
import { type ChannelGraph, HELD } from './graph.js';

/** Factor of each free variable; those that are not in it keep to 1. */
export type Factors = ReadonlyMap<number, number>;

/**
 * Applies factors to the constants at which their spaces end, in place. Every other value of the model keeps its value,
 * up to rounding: factors are multiplied in double precision and rounded once.
 * @returns the values that are scaled now
 */
export function rescale(graph: Graph, channels: ChannelGraph, factors: Factors): Set<Value> {
  const scaled = new Set<Value>();
  const factorsOf = (value: Value): Float64Array | undefined => {
    const found = channels.channelsOf(value);
    if (found === undefined) return undefined;
    const own = Float64Array.from({ length: found.count }, (_, channel) => {
      const variable = channels.variable(value, channel);
      return variable === HELD ? 1 : (factors.get(variable) ?? 1);
    });
    if (own.every((factor) => factor === 1)) return undefined;
    scaled.add(value);
    return own;
  };
  for (const node of [...graph.nodes()]) {
    const ends = endsOf(node);
    if (ends.length === 0) {
      if ((node.is('Add') || node.is('Sub')) && node.outputs[0]) spreadSum(node, channels, factorsOf);
      continue;
    }
    const given = node.outputs[0] && factorsOf(node.outputs[0]);
    const read = ends.find(({ side }) => side === 'input');
    const taken = read && factorsOf(read.value);
    if (given !== undefined || taken !== undefined) absorb(node, given, taken);
  }
  return scaled;
}

/** A constant term of a sum is scaled with the sum. */
function spreadSum(
  node: Node,
  channels: ChannelGraph,
  factorsOf: (value: Value) => Float64Array | undefined,
): void {
  const output = node.outputs[0]!;
  const index = node.inputs.findIndex((input) => input?.isConstant);
  if (index < 0) return;
  const given = factorsOf(output);
  if (given === undefined) return;
  const { constant } = node.inputs[index]!;
  replaceConstant(
    node,
    index,
    spreadOver(constant!, given, channels.channelsOf(output)!.axes, output.shape!),
  );
}

/** c → c·s, with s along the axes of the channels; the constant gets those axes where it was the same along them. */
function spreadOver(
  constant: Tensor,
  factors: Float64Array,
  axes: readonly number[],
  sum: NonNullable<Value['shape']>,
): Tensor {
  const rank = sum.length;
  const shape = [...Array<number>(rank - constant.shape.length).fill(1), ...constant.shape];
  const grown = shape.map((dim, axis) => (axes.includes(axis) ? (sum[axis] as number) : dim));
  const dtype = constant.dtype as RealDType;
  return Tensor.derive(
    dtype,
    grown,
    [constant, Tensor.of('double', [factors.length], factors)],
    ([source, by]) => {
      const [values, scale] = [realsOf(source!), realsOf(by!)];
      const count = grown.reduce((product, dim) => product * dim, 1);
      const result = realArray(dtype, count);
      for (let flat = 0; flat < count; flat++) {
        let [from, step, channel, stride] = [0, 1, 0, 1];
        for (let axis = rank - 1, rest = flat; axis >= 0; axis--) {
          const at = rest % grown[axis]!;
          rest = Math.floor(rest / grown[axis]!);
          if (shape[axis] !== 1) from += at * step;
          step *= shape[axis]!;
          if (!axes.includes(axis)) continue;
          channel += at * stride;
          stride *= grown[axis]!;
        }
        result[flat] = values[from]! * scale[channel]!;
      }
      return result;
    },
    { name: constant.name },
  );
}

function absorb(node: Node, given: Float64Array | undefined, taken: Float64Array | undefined): void {
  if ((LINEAR as readonly string[]).includes(node.opType)) {
    absorbLinear(node, given, taken);
    return;
  }
  if (node.opType === 'Mul' || node.opType === 'Div') {
    const index = node.inputs[1]!.isConstant ? 1 : 0;
    const { constant } = node.inputs[index]!;
    const factors = Float64Array.from({ length: constant!.count }, (_, i) => {
      const factor = (given?.[i] ?? 1) / (taken?.[i] ?? 1);
      return node.opType === 'Mul' ? factor : 1 / factor;
    });
    replaceConstant(node, index, times(constant!, factors));
    return;
  }
  // Normalizations: γ and β.
  for (const index of [1, 2]) {
    const constant = node.inputs[index]?.constant;
    if (constant && given) replaceConstant(node, index, times(constant, given));
  }
}

/** One number a channel, scaled one by one. */
function times(constant: Tensor, factors: Float64Array): Tensor {
  const dtype = constant.dtype as RealDType;
  return Tensor.derive(
    dtype,
    constant.shape,
    [constant, Tensor.of('double', [factors.length], factors)],
    ([source, by]) => {
      const [values, scale] = [realsOf(source!), realsOf(by!)];
      const result = realArray(dtype, values.length);
      for (let i = 0; i < values.length; i++) result[i] = values[i]! * scale[i]!;
      return result;
    },
    { name: constant.name },
  );
}

function absorbLinear(node: Node, given: Float64Array | undefined, taken: Float64Array | undefined): void {
  let form: Linear = asLinear(node);
  if (taken !== undefined)
    form = { ...form, ...foldBefore(form, scaling(taken.map((each) => 1 / each))), beta: 1 };
  if (given !== undefined) form = { ...form, ...foldAfter(form, scaling(given)), beta: 1 };
  replaceConstant(node, 1, form.weight);
  if (given !== undefined && node.inputs[2] !== undefined) {
    replaceConstant(node, 2, form.bias!);
    if (node.opType === 'Gemm') setAttribute(node, 'beta', undefined);
  }
}

const scaling = (factors: Float64Array): ChannelAffine => ({
  from: [Tensor.of('double', [factors.length], factors)],
  channels: factors.length,
  evaluate: ([by]) => ({ scale: realsOf(by!) as Float64Array, shift: new Float64Array(factors.length) }),
});

function replaceConstant(node: Node, index: number, tensor: Tensor): void {
  const before = node.inputs[index]!;
  setInput(node, index, addInitializer(node.graph, tensor, before.name));
  if (before.uses.length === 0 && !before.isOutput && before.graph.initializers.has(before))
    removeInitializer(before);
}
