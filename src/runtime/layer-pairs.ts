/** Which value of a quantized model stands for which value of the float one. */
import { isFloat } from '../ir/dtype.js';
import type { Model, Node, Value } from '../ir/graph.js';
import { isQuantizedType, typeBounds } from '../quant/affine.js';
import type { IntegerGrid } from '../quant/grid-use.js';
import { canTap } from './tap.js';

/** Least and most of what an activation function lets through. */
export interface Bend {
  readonly least: number;
  readonly most: number;
}

export interface LayerPair {
  readonly reference: Value;
  /** What readers of the candidate get: where the value is quantized, what DequantizeLinear makes of it. */
  readonly candidate: Value;
  /** Node of the reference that computes it; undefined for an input of the graph. */
  readonly node: Node | undefined;
  /** Where the candidate quantizes the value: what goes in, and the grid, if it is one for the whole tensor. */
  readonly rounding?: { readonly before: Value; readonly grid: IntegerGrid; readonly bend?: Bend };
  /** Whether integers have a part in computing it. */
  readonly quantized: boolean;
}

/**
 * Pairs of one meaning, in the reference's order: by name, and through QuantizeLinear and DequantizeLinear. An
 * activation function that the grid's own ends have made redundant counts with the node before it.
 */
export function pairLayers(reference: Model, candidate: Model): LayerPair[] {
  const theirs = new Map<string, Value>();
  for (const value of candidate.graph.inputs) theirs.set(value.name, value);
  for (const node of candidate.graph.nodes()) for (const value of node.outputs) theirs.set(value.name, value);
  const pairs: LayerPair[] = [];
  const add = (own: Value, node: Node | undefined): void => {
    const twin = theirs.get(own.name);
    if (twin === undefined || !comparable(own) || !comparable(twin)) return;
    const passage = passageOf(twin);
    // Both are fed the same: only what is quantized of it is worth a look.
    if (node === undefined && passage === undefined) return;
    if (passage === undefined) {
      pairs.push({ reference: own, candidate: twin, node, quantized: false });
      return;
    }
    const { before, after, grid } = passage;
    const [bent, bend] = (before === twin && bentBy(own, theirs, after)) || [own, lostBend(own, before)];
    pairs.push({
      reference: bent,
      candidate: after,
      node,
      ...(grid && comparable(before) && { rounding: { before, grid, ...(bend && { bend }) } }),
      quantized: true,
    });
  };
  for (const value of reference.graph.inputs) if (value.constant === undefined) add(value, undefined);
  for (const node of reference.graph.nodes()) {
    if (node.opType === 'Constant') continue;
    for (const value of node.outputs) add(value, behindIdentity(node));
  }
  const known = new Set(
    pairs.flatMap(({ candidate: value, rounding }) => [value, ...(rounding ? [rounding.before] : [])]),
  );
  return pairs.map((pair) => ({
    ...pair,
    quantized: pair.quantized || throughIntegers(pair.candidate, known),
  }));
}

/** The node that computes what an Identity hands on. */
function behindIdentity(node: Node): Node {
  const before = node.opType === 'Identity' ? node.inputs[0]?.producer : undefined;
  return before === undefined ? node : behindIdentity(before);
}

const INTEGER_OPERATORS = /^(Deq|Q)uantizeLinear$|^DynamicQuantize|Integer|^QLinear|^QGemm$|NBits$/;

/** True where integers lie between a value and the compared ones that it is computed from: weights, at least. */
function throughIntegers(value: Value, known: ReadonlySet<Value>): boolean {
  const seen = new Set<Value>();
  const walk = ({ producer }: Value): boolean => {
    if (producer === undefined) return false;
    if (INTEGER_OPERATORS.test(producer.opType)) return true;
    return producer.inputs.some((input) => {
      if (input === undefined || seen.has(input) || known.has(input)) return false;
      seen.add(input);
      return walk(input);
    });
  };
  return walk(value);
}

const comparable = (value: Value): boolean =>
  canTap(value) && value.type?.kind === 'tensor' && isFloat(value.type.dtype);

interface Passage {
  readonly before: Value;
  readonly after: Value;
  readonly grid: IntegerGrid | undefined;
}

/** The pair of QuantizeLinear and DequantizeLinear that a value goes into, or comes out of. */
function passageOf(value: Value): Passage | undefined {
  const { producer } = value;
  if (producer?.opType === 'DequantizeLinear') {
    const quantize = producer.inputs[0]?.producer;
    const before = quantize?.opType === 'QuantizeLinear' ? quantize.inputs[0] : undefined;
    return before && { before, after: value, grid: gridOf(quantize!) };
  }
  for (const { node, index } of value.uses) {
    if (node.opType !== 'QuantizeLinear' || index !== 0) continue;
    const dequantize = node.outputs[0]!.uses.find((use) => use.node.opType === 'DequantizeLinear')?.node;
    if (dequantize) return { before: value, after: dequantize.outputs[0]!, grid: gridOf(node) };
  }
  return undefined;
}

/** The grid of a QuantizeLinear with one scale, where scale and zero point are constants. */
function gridOf(quantize: Node): IntegerGrid | undefined {
  const [, scaleValue, zeroValue] = quantize.inputs;
  const dtype = quantize.outputs[0]!.dtype ?? zeroValue?.dtype ?? 'uint8';
  const scale = numberOf(scaleValue);
  const zeroPoint = zeroValue === undefined ? 0 : numberOf(zeroValue);
  if (scale === undefined || !(scale > 0) || zeroPoint === undefined || !isQuantizedType(dtype))
    return undefined;
  return { scale, zeroPoint, ...typeBounds(dtype) };
}

/** A constant of one element, itself or cast. */
function numberOf(value: Value | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (value.constant !== undefined)
    return value.constant.count === 1 ? value.constant.toNumbers()[0] : undefined;
  return value.producer?.opType === 'Cast' ? numberOf(value.producer.inputs[0]) : undefined;
}

/**
 * The activation function that alone reads a value of the reference and that the candidate has not got any more: the
 * ends of the grid do its work.
 */
function bentBy(own: Value, theirs: ReadonlyMap<string, Value>, after: Value): [Value, Bend] | undefined {
  const [use, ...others] = own.uses;
  if (use === undefined || others.length > 0 || own.isOutput) return undefined;
  const bend = bendOf(use.node);
  const bent = use.node.outputs[0]!;
  if (bend === undefined || theirs.has(bent.name) || !comparable(bent)) return undefined;
  return after.uses.some(({ node }) => bendOf(node) !== undefined) ? undefined : [bent, bend];
}

/** The activation function that gives a value of the reference and that stands nowhere before the candidate's. */
function lostBend(own: Value, before: Value): Bend | undefined {
  const bend = own.producer && bendOf(own.producer);
  return bend && before.producer?.opType !== own.producer!.opType ? bend : undefined;
}

function bendOf(node: Node): Bend | undefined {
  if (node.opType === 'Relu') return { least: 0, most: Number.POSITIVE_INFINITY };
  if (node.opType !== 'Clip') return undefined;
  const bound = (index: number, key: string, otherwise: number): number | undefined => {
    const attribute = node.attributes.get(key);
    if (attribute?.kind === 'float') return attribute.value;
    return node.inputs[index] === undefined ? otherwise : numberOf(node.inputs[index]);
  };
  const least = bound(1, 'min', Number.NEGATIVE_INFINITY);
  const most = bound(2, 'max', Number.POSITIVE_INFINITY);
  return least === undefined || most === undefined ? undefined : { least, most };
}
