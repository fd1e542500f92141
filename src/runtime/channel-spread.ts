/** How unequal the channels of a weight are that one scale has to do for. */
import type { Node, Value } from '../ir/graph.js';
import { elementCount } from '../ir/type.js';

/**
 * Largest magnitude of an output channel over that of the median one, for a node whose weight the candidate quantizes
 * with a single scale; undefined for all others.
 * @param node of the float model. @param before value of the candidate that leaves the same node there
 */
export function weightSpread(node: Node | undefined, before: Value): number | undefined {
  const dequantize =
    before.producer?.opType === node?.opType ? before.producer?.inputs[1]?.producer : undefined;
  const weight = node?.inputs[1]?.constant;
  const axis = node && channelAxis(node);
  if (!weight || axis === undefined || dequantize?.opType !== 'DequantizeLinear') return undefined;
  if (dequantize.inputs[1]?.constant?.count !== 1 || weight.dtype !== 'float') return undefined;
  const at = axis < 0 ? weight.shape.length + axis : axis;
  const count = weight.shape[at] ?? 1;
  const inner = elementCount(weight.shape.slice(at + 1)) || 1;
  return spreadOf(magnitudes(weight.toFloat32(), count, inner));
}

function channelAxis(node: Node): number | undefined {
  const transposed = node.attributes.get('transB');
  switch (node.opType) {
    case 'Conv':
      return 0;
    case 'ConvTranspose':
      return 1;
    case 'MatMul':
      return -1;
    case 'Gemm':
      return transposed?.kind === 'int' && Number(transposed.value) === 1 ? 0 : 1;
    default:
      return undefined;
  }
}

/** Largest magnitude of each of `count` channels, of which `inner` elements lie side by side. @param most those so far */
export function magnitudes(
  values: ArrayLike<number>,
  count: number,
  inner: number,
  most: Float64Array = new Float64Array(count),
): Float64Array {
  for (let from = 0, run = 0; from < values.length; from += inner, run++) {
    let largest = most[run % count]!;
    for (let i = from; i < from + inner; i++) {
      const magnitude = Math.abs(values[i]!);
      if (magnitude > largest) largest = magnitude;
    }
    most[run % count] = largest;
  }
  return most;
}

/** The largest over the median of those that are not zero; undefined where there are fewer than two. */
export function spreadOf(most: Float64Array): number | undefined {
  const alive = most.filter((each) => each > 0).sort();
  return alive.length > 1 ? alive.at(-1)! / alive[alive.length >> 1]! : undefined;
}
