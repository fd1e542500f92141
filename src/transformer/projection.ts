/** Products with weights, found by walking up from what attention reads and down from what it gives. */
import { constantNumbers } from '../ir/constant.js';
import type { Node, Value } from '../ir/graph.js';
import { isFixed } from './scores.js';

/** A product with weights, or a part of its columns where several roles share one. */
export interface Projection {
  readonly node: Node;
  /** First column and the one behind the last, where one product makes queries, keys and values. */
  readonly columns?: readonly [number, number];
  /** True where each head's queries, keys and values lie side by side: the columns are then no single range. */
  readonly perHead?: boolean;
  /** Smaller products that are added to it (adapters). */
  readonly beside?: readonly Node[];
}

/** Operators that multiply by weights: where data come in, and where the weights. */
const PRODUCTS: Readonly<Record<string, readonly [data: number, weight: number]>> = {
  MatMul: [0, 1],
  Gemm: [0, 1],
  Conv: [0, 1],
  'com.microsoft.FusedMatMul': [0, 1],
  'com.microsoft.MatMulNBits': [0, 1],
  'com.microsoft.MatMulBnb4': [0, 1],
  MatMulInteger: [0, 1],
  QLinearMatMul: [0, 3],
  'com.microsoft.DynamicQuantizeMatMul': [0, 1],
  'com.microsoft.MatMulIntegerToFloat': [0, 1],
};
const keyOf = (node: Node): string => (node.domain === '' ? node.opType : `${node.domain}.${node.opType}`);

/** The data that a product with weights reads, and the weights; undefined for other nodes. */
export function productOf(node: Node): { data: Value; weight: Value } | undefined {
  const places = PRODUCTS[keyOf(node)];
  const [data, weight] = (places ?? []).map((index) => node.inputs[index]);
  if (data === undefined || weight === undefined || isFixed(data) || !isFixed(weight)) return undefined;
  if (node.is('Conv') && !isPointwise(node)) return undefined;
  return { data, weight };
}

/** A convolution that mixes channels alone. */
function isPointwise(node: Node): boolean {
  const kernel = node.ints('kernel_shape') ?? node.inputs[1]?.shape?.slice(2);
  return node.int('group', 1) === 1 && kernel !== undefined && kernel.every((size) => size === 1);
}

/** Elements of a product's weights: the larger of two is the one that adapters are added to. */
const weightCount = (node: Node): number =>
  (productOf(node)?.weight.shape ?? []).reduce<number>(
    (count, dim) => count * (typeof dim === 'number' ? dim : 1),
    1,
  );

/** What a walk up passes by its first input alone; the others tell sizes, axes and places. */
const FIRST_INPUT =
  /^(Reshape|Transpose|Expand|Tile|Slice|Split|Gather|Unsqueeze|Squeeze|Cast|Identity|Flatten|DequantizeLinear|QuantizeLinear|RotaryEmbedding|LayerNormalization|SimplifiedLayerNormalization|RMSNormalization|LpNormalization|InstanceNormalization|DepthToSpace|Pad|DynamicQuantizeLinear)$/;
const ALL_INPUTS =
  /^(Add|Sub|Mul|Div|Neg|Concat|Where|Pow|Sqrt|Reciprocal|ReduceMean|ReduceSum|ReduceL2|Max|Clip|Abs|Relu)$/;
const NORMALIZES = /Normalization$/;
const FARTHEST = 40;

/** A product found upstream, and the way from it down to where the search began. */
export interface Upstream extends Projection {
  /** Values from the product's output to the one asked about. */
  readonly path: readonly Value[];
}

/**
 * The product that a value was made by, through reshapes, rotations, norms of single heads, biases and repeats. Of
 * several (an adapter beside the weights) the one with the most weights.
 */
export function projectionAbove(value: Value): Upstream | undefined {
  const below = new Map<Value, Value | undefined>([[value, undefined]]);
  const queue: { at: Value; depth: number }[] = [{ at: value, depth: 0 }];
  const found: { node: Node; output: Value }[] = [];
  for (const { at, depth } of queue) {
    const node = at.producer;
    if (node === undefined || depth > FARTHEST) continue;
    if (productOf(node) !== undefined) {
      found.push({ node, output: at });
      continue;
    }
    // A norm that others read too belongs to the block before, not to this head.
    if (NORMALIZES.test(node.opType) && at.uses.length > 1) continue;
    const inputs = FIRST_INPUT.test(node.opType)
      ? [node.inputs[0]]
      : ALL_INPUTS.test(node.opType)
        ? node.inputs
        : [];
    for (const input of inputs) {
      if (input === undefined || below.has(input) || isFixed(input, 3)) continue;
      below.set(input, at);
      queue.push({ at: input, depth: depth + 1 });
    }
  }
  const [first] = found.toSorted((a, b) => weightCount(b.node) - weightCount(a.node));
  if (first === undefined) return undefined;
  const path: Value[] = [];
  for (let at: Value | undefined = first.output; at !== undefined; at = below.get(at)) path.push(at);
  const beside = found.filter(({ node }) => node !== first.node).map(({ node }) => node);
  return { node: first.node, path, ...(beside.length > 0 && { beside }) };
}

const PASSES_ON =
  /^(Transpose|Reshape|Cast|Identity|Squeeze|Unsqueeze|Mul|QuantizeLinear|DequantizeLinear|DynamicQuantizeLinear|Flatten|Where|Slice|LayerNormalization|SimplifiedLayerNormalization|RMSNormalization)$/;

/** The first product that reads a value, through layouts and gates. */
export function projectionBelow(value: Value): Node | undefined {
  const seen = new Set<Value>([value]);
  const queue: { at: Value; depth: number }[] = [{ at: value, depth: 0 }];
  for (const { at, depth } of queue) {
    for (const { node } of at.uses) {
      if (productOf(node)?.data === at) return node;
      if (depth >= 12 || !PASSES_ON.test(node.opType)) continue;
      for (const output of node.outputs) {
        if (output.isOmitted || seen.has(output)) continue;
        seen.add(output);
        queue.push({ at: output, depth: depth + 1 });
      }
    }
  }
  return undefined;
}

const size = (dim: unknown): number | undefined => (typeof dim === 'number' ? dim : undefined);

/** Which columns of a shared product reach the end of a way down from it. */
export function columnsAlong({ path, node }: Upstream): Pick<Projection, 'columns' | 'perHead'> {
  const all = size(path[0]!.shape?.at(-1));
  if (all === undefined) return {};
  for (const [at, value] of path.slice(0, -1).entries()) {
    const next = path[at + 1]!;
    const cut = next.producer;
    const { shape } = value;
    if (cut === undefined || cut === node || shape === undefined) continue;
    const share = shareOf(cut, next, shape.length);
    if (share === undefined) continue;
    const { axis, start, end, of } = share;
    // Behind a reshape into [.., parts, heads, size] or [.., heads, parts · size] the axis tells the layout.
    const isWhole = shape.length <= 3 || axis === 0 || (axis === 2 && shape.length === 5);
    if (!isWhole) return { perHead: true };
    const unit = all / of;
    return { columns: [start * unit, end * unit] };
  }
  return {};
}

/** What part of an axis a Split, Slice or Gather hands on. */
function shareOf(
  cut: Node,
  to: Value,
  rank: number,
): { axis: number; start: number; end: number; of: number } | undefined {
  const front = (axis: number): number => (axis < 0 ? axis + rank : axis);
  const length = (axis: number): number | undefined => size(cut.inputs[0]?.shape?.[axis]);
  if (cut.is('Split')) {
    const axis = front(cut.int('axis', 0));
    const sizes = cut.outputs.map(({ shape }) => size(shape?.[axis]));
    if (sizes.some((each) => each === undefined)) return undefined;
    const start = sizes.slice(0, to.index).reduce<number>((sum, each) => sum + each!, 0);
    const of = sizes.reduce<number>((sum, each) => sum + each!, 0);
    return { axis, start, end: start + sizes[to.index]!, of };
  }
  if (cut.is('Gather')) {
    const axis = front(cut.int('axis', 0));
    const [index] = constantNumbers(cut.inputs[1]) ?? [];
    const of = length(axis);
    if (index === undefined || of === undefined) return undefined;
    const start = index < 0 ? index + of : index;
    return { axis, start, end: start + 1, of };
  }
  if (!cut.is('Slice')) return undefined;
  const [starts, ends, axes, steps] = [1, 2, 3, 4].map((at) => constantNumbers(cut.inputs[at]));
  const axis = front(axes?.[0] ?? 0);
  const of = length(axis);
  if (starts?.length !== 1 || ends?.length !== 1 || of === undefined || (steps?.[0] ?? 1) !== 1)
    return undefined;
  const clamp = (at: number): number => Math.max(0, Math.min(of, at < 0 ? at + of : at));
  const [start, end] = [clamp(starts[0]!), clamp(ends[0]!)];
  return end - start === of ? undefined : { axis, start, end, of };
}
