/** Weights that can be pruned, as matrices, with all that read them. */
import {
  exclusionFact,
  type Model,
  type Node,
  type PassContext,
  type Tensor,
  type Value,
  type WeightMatrix,
} from '../../src/index.js';
import { productOf } from '../quantize-weights-nbits/products.js';
import type { MomentReader } from '../quantized/moments.js';

/** One weight and its readers, all of which read it alike. */
export interface PrunableLayer extends WeightMatrix {
  readonly weight: Value;
  readonly tensor: Tensor;
  readonly readers: readonly MomentReader[];
  /** Extent of a convolution's kernel along each axis; empty for a product. */
  readonly kernel: readonly number[];
}

/**
 * The weights of convolutions and products, in the order of their first readers.
 * @param dense nodes whose weights stay as they are
 */
export function prunableLayers(
  model: Model,
  dense: ReadonlySet<Node>,
  context: PassContext,
): PrunableLayer[] {
  const exclude = exclusionFact.find(context);
  const readers = new Map<Value, { node: Node; matrix: Found | string }[]>();
  for (const graph of model.graphs()) {
    for (const node of graph.nodes()) {
      const found = matrixRead(node);
      if (found === undefined) continue;
      const kept = dense.has(node) ? 'it was asked to stay dense' : exclude?.(node);
      const matrix = kept ?? found.matrix;
      readers.set(found.weight, [...(readers.get(found.weight) ?? []), { node, matrix }]);
    }
  }
  return [...readers].flatMap(([weight, reads]): PrunableLayer[] => {
    const layer = layerOf(weight, reads);
    if (typeof layer !== 'string') return [layer];
    context.decline(layer, reads[0]!.node);
    return [];
  });
}

interface Found extends WeightMatrix {
  readonly kernel: readonly number[];
}

function matrixRead(node: Node): { weight: Value; matrix: Found | string } | undefined {
  if (node.is('Conv')) {
    const weight = node.inputs[1];
    if (!weight?.isConstant) return undefined;
    const [rows = 0, , ...kernel] = weight.constant!.shape;
    const size = rows === 0 ? 0 : weight.constant!.count / rows;
    const taps = kernel.reduce((product, extent) => product * extent, 1);
    const groups = node.int('group', 1);
    if (node.string('auto_pad', 'NOTSET') !== 'NOTSET') return { weight, matrix: 'auto_pad is set' };
    return { weight, matrix: { rows, size, groups, taps, turned: false, kernel } };
  }
  const product = productOf(node);
  if (typeof product !== 'object') return undefined;
  const { weight, tensor, axis } = product;
  const [size, rows] = [tensor.shape[axis]!, tensor.shape[1 - axis]!];
  return { weight, matrix: { rows, size, groups: 1, taps: 1, turned: axis === 0, kernel: [] } };
}

function layerOf(
  weight: Value,
  reads: readonly { readonly node: Node; readonly matrix: Found | string }[],
): PrunableLayer | string {
  const [first] = reads;
  const tensor = weight.constant;
  if (tensor?.dtype !== 'float' || weight.isInput) return 'its weight is no float initializer';
  if (tensor.count === 0) return 'its weight is empty';
  for (const { matrix } of reads) if (typeof matrix === 'string') return matrix;
  const matrix = first!.matrix as Found;
  const alike = reads.every(({ matrix: other }) => JSON.stringify(other) === JSON.stringify(matrix));
  if (!alike || weight.isOutput) return 'others read its weight in another way';
  const known = new Set(reads.map(({ node }) => node));
  const isTurned = ({ outputs: [output] }: Node): boolean =>
    output!.uses.length > 0 && !output!.isOutput && output!.uses.every(({ node }) => known.has(node));
  if (weight.uses.some(({ node }) => !known.has(node) && !(node.is('Transpose') && isTurned(node))))
    return 'others read its weight, too: a table of embeddings, perhaps';
  return {
    ...matrix,
    weight,
    tensor,
    readers: reads.map(({ node }) => ({ node, input: node.inputs[0]! })),
  };
}
