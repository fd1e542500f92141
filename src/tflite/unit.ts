/**
 * A node with the QuantizeLinear and DequantizeLinear nodes around it: in integers where every value that it reads and
 * gives is quantized, in float otherwise.
 */
import type { Node, Value } from '../ir/graph.js';
import { type Grid, gridOf, isDequantize, isQuantize, isRealConstant, reach, realConstant } from './grid.js';
import type { FusedActivation } from './schema.js';

/** What a unit gives: the float value, or the integers that a QuantizeLinear makes of it. */
export interface Result {
  readonly value: Value;
  readonly grid?: Grid;
}

export interface Unit {
  readonly node: Node;
  /** All data are int8. */
  readonly int8: boolean;
  readonly results: readonly Result[];
  /** What is done to the output before it is quantized, where the operator can do it on the way. */
  readonly fused: FusedActivation;
  /** Nodes that the unit does the work of, besides its own. */
  readonly absorbed: readonly Node[];
}

/** How an operator may stand in a unit. */
export interface UnitRule {
  /** It has an int8 kernel. */
  readonly int8: boolean | ((node: Node) => boolean);
  /** It can apply an activation function to what it computes. */
  readonly fuses?: boolean;
}

/** The one node that reads a value, where nothing else does. */
function soleReaderOf(value: Value): Node | undefined {
  const [use] = value.uses;
  return value.uses.length === 1 && !value.isOutput ? use!.node : undefined;
}

const readsQuantized = (value: Value): boolean => {
  if (value.dtype !== undefined && value.dtype !== 'float') return true;
  const { producer } = value;
  return isRealConstant(value) || (isDequantize(producer) && realConstant(producer.inputs[1])?.length === 1);
};

/** Bounds of Relu and Clip; undefined for other nodes, and for bounds that are computed. */
export function boundsOf(node: Node): { readonly min: number; readonly max: number } | undefined {
  if (node.is('Relu')) return { min: 0, max: Number.POSITIVE_INFINITY };
  if (!node.is('Clip')) return undefined;
  const [, low, high] = node.inputs;
  const [min, max] = [realConstant(low), realConstant(high)];
  if ((low && min === undefined) || (high && max === undefined)) return undefined;
  return {
    min: min?.[0] ?? node.float('min', Number.NEGATIVE_INFINITY),
    max: max?.[0] ?? node.float('max', Number.POSITIVE_INFINITY),
  };
}

/** How the format names a clamp; undefined where it has no name for it. */
export function fusedAs({
  min,
  max,
}: {
  readonly min: number;
  readonly max: number;
}): FusedActivation | undefined {
  if (min === 0) return max === Number.POSITIVE_INFINITY ? 'relu' : max === 6 ? 'relu6' : undefined;
  return min === -1 && max === 1 ? 'relu-1-to-1' : undefined;
}

/** A grid that ends where the bounds do, or before, clamps by itself: half a step more makes no integer differ. */
export function clampsItself(
  grid: Grid,
  { min, max }: { readonly min: number; readonly max: number },
): boolean {
  const ends = reach(grid);
  return ends.min >= min - grid.scale / 2 && ends.max <= max + grid.scale / 2;
}

/** Reads a unit off the graph. */
export function unitOf(node: Node, rule: UnitRule): Unit {
  const outputs = node.outputs.filter(({ isOmitted }) => !isOmitted);
  const takes = typeof rule.int8 === 'boolean' ? rule.int8 : rule.int8(node);
  const data = node.inputs.filter((input): input is Value => input !== undefined && input.dtype === 'float');
  const computed = data.some((value) => !isRealConstant(value));
  const reads = takes && computed && data.every(readsQuantized);
  const tail = rule.fuses && outputs.length === 1 ? tailOf(outputs[0]!, reads) : undefined;
  const last = tail ? [tail.node.outputs[0]!] : outputs;
  const quantizes = last.map(soleReaderOf);
  const int8 =
    reads && quantizes.every(isQuantize) && quantizes.every((each) => each?.int('block_size', 0) === 0);
  if (!int8 && tail?.onlyInt8) return floatUnit(node, outputs);
  return {
    node,
    int8,
    results: int8
      ? quantizes.map((each) => ({ value: each!.outputs[0]!, grid: gridOf(each!) }))
      : last.map((value) => ({ value })),
    fused: tail?.fused ?? 'none',
    absorbed: tail ? [tail.node] : [],
  };
}

const floatUnit = (node: Node, outputs: readonly Value[]): Unit => ({
  node,
  int8: false,
  results: outputs.map((value) => ({ value })),
  fused: 'none',
  absorbed: [],
});

/** An activation function behind a value that can be done on the way. */
function tailOf(value: Value, quantized: boolean) {
  const node = soleReaderOf(value);
  const bounds = node && boundsOf(node);
  if (node === undefined || bounds === undefined || node.inputs[0] !== value) return undefined;
  const fused = fusedAs(bounds);
  if (fused !== undefined) return { node, fused, onlyInt8: false };
  const quantize = soleReaderOf(node.outputs[0]!);
  if (!quantized || !isQuantize(quantize) || !clampsItself(gridOf(quantize), bounds)) return undefined;
  return { node, fused: 'none' as const, onlyInt8: true };
}
