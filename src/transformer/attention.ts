/**
 * Attention as it is exported, node by node: Softmax(Q·Kᵀ·scale + bias)·V, found by its structure. Names say nothing
 * here. What is found is told so that it can be written anew: values of [batch, heads, tokens, size], or of
 * [batch, tokens, size] where there is one head.
 */
import { constantOf, scalarOf, uniformNumber } from '../ir/constant.js';
import type { Graph, Node, Value } from '../ir/graph.js';
import { isActivationProduct, type Scores, scoresOf } from './scores.js';

/** One attention, from the values that its two products read to the value that it gives. */
export interface Attention {
  readonly softmax: Node;
  readonly scores: Scores;
  /** The MatMul of probabilities and values, and what it gives. */
  readonly product: Node;
  readonly output: Value;
  /** 4: [batch, heads, tokens, size]; 3: [batch, tokens, size], one head, or heads folded into the batch. */
  readonly rank: 3 | 4;
  readonly query: Value;
  /** As the product reads it: [..., size, tokens] where `keyIsTransposed`, else [..., tokens, size]. */
  readonly key: Value;
  readonly keyIsTransposed: boolean;
  readonly value: Value;
  readonly heads: number;
  /** Heads of keys and values before they are repeated; equal to `heads` where nothing repeats. */
  readonly kvHeads: number;
  readonly headSize: number;
  readonly valueHeadSize: number;
  /** Factor of Q·Kᵀ, constant factors of Q and K themselves included. */
  readonly scale: number;
}

/** A Softmax that is no attention, and why. */
export interface Rejection {
  readonly node: Node;
  readonly reason: string;
}

export interface Found {
  readonly attentions: readonly Attention[];
  readonly rejections: readonly Rejection[];
}

/**
 * The attentions of a graph (subgraphs not included), each read when it is its turn: whoever walks them may rewrite one
 * before asking for the next, which may read what the first gave.
 */
export function* attentionsOf(graph: Graph): IterableIterator<Attention> {
  for (const node of graph.nodes()) {
    const found = node.is('Softmax') ? attentionAt(node) : '';
    if (typeof found !== 'string') yield found;
  }
}

/** Every attention of a graph (subgraphs not included), in order, and every other Softmax with the reason. */
export function findAttentions(graph: Graph): Found {
  const attentions: Attention[] = [];
  const rejections: Rejection[] = [];
  for (const node of graph.nodes()) {
    if (!node.is('Softmax')) continue;
    const found = attentionAt(node);
    if (typeof found === 'string') rejections.push({ node, reason: found });
    else attentions.push(found);
  }
  return { attentions, rejections };
}

/** The product of a Softmax's result with values, reached through what changes nothing of it. */
export function weightedSum(softmax: Node): Node | undefined {
  let at = softmax.outputs[0]!;
  for (let steps = 0; steps < 8; steps++) {
    const product = at.uses.find(({ node, index }) => index === 0 && isActivationProduct(node));
    if (product !== undefined) return product.node;
    // Newer exports guard against rows without any token: Where(IsNaN(p), 0, p).
    const next = at.uses.find(({ node, index }) =>
      node.is('Where')
        ? index > 0
        : node.is('Cast') || node.is('Identity') || node.is('Dropout') || node.is('Reshape'),
    );
    if (next === undefined) return undefined;
    at = next.node.outputs[0]!;
  }
  return undefined;
}

/** Reads the attention around a Softmax, or says why there is none, or none that can be written anew. */
export function attentionAt(softmax: Node): Attention | string {
  const scores = scoresOf(softmax);
  const product = weightedSum(softmax);
  if (product === undefined) return 'its result weighs no values: a classifier or a router';
  if (scores === undefined) return 'it is not made from a product of queries and keys: a gate';
  const rank = softmax.outputs[0]!.shape?.length;
  const axis = softmax.int('axis', -1);
  if (axis !== -1 && axis !== (rank ?? 0) - 1) return `it runs along axis ${axis}, not over keys`;
  const [q, k] = scores.product.inputs as [Value, Value];
  const v = product.inputs[1]!;
  const output = product.outputs[0]!;
  const query = unscaled(q);
  const key = unscaled(k);
  const across = transposedOperand(key.value);
  const plainKey = across === undefined ? key : unscaled(across);
  const scaled = query.factor * key.factor * (across === undefined ? 1 : plainKey.factor);
  const [heads, headSize] = headsOf(query.value);
  const [, valueHeadSize] = headsOf(v);
  const keyValue = across === undefined ? key.value : plainKey.value;
  const unrepeatedKey = across === undefined ? undefined : unrepeated(keyValue);
  const unrepeatedValue = unrepeated(v);
  const repeats = unrepeatedKey !== undefined && unrepeatedValue !== undefined;
  const kvHeads = repeats ? headsOf(unrepeatedKey)[0] : heads;
  if (query.value.shape === undefined || heads === undefined || headSize === undefined)
    return `heads of ${query.value.name} are not known`;
  if (valueHeadSize === undefined || kvHeads === undefined) return `heads of ${v.name} are not known`;
  const ranks = [query.value, keyValue, v, output].map(({ shape }) => shape?.length);
  if (ranks.some((each) => each !== ranks[0]) || (ranks[0] !== 3 && ranks[0] !== 4))
    return `it works on ${ranks[0] ?? 'unknown'} dimensions`;
  return {
    softmax,
    scores,
    product,
    output,
    rank: ranks[0],
    query: query.value,
    key: repeats ? unrepeatedKey : keyValue,
    keyIsTransposed: across === undefined,
    value: repeats ? unrepeatedValue : v,
    heads,
    kvHeads,
    headSize,
    valueHeadSize,
    scale: scores.scale * scaled,
  };
}

/** Heads and size of [batch, heads, tokens, size]; one head where there are three dimensions. */
function headsOf({ shape }: Value): [number | undefined, number | undefined] {
  const number = (dim: unknown) => (typeof dim === 'number' && dim > 0 ? dim : undefined);
  if (shape?.length === 4) return [number(shape[1]), number(shape[3])];
  return shape?.length === 3 ? [1, number(shape[2])] : [undefined, undefined];
}

/** A value without the constant factors that it was multiplied by last. PyTorch scales q and k by the root each. */
export function unscaled(value: Value): { value: Value; factor: number } {
  let at = value;
  let factor = 1;
  for (;;) {
    const node: Node | undefined = at.producer;
    if (node === undefined || !(node.is('Mul') || node.is('Div'))) break;
    const index = constantOf(node.inputs[1]) ? 1 : constantOf(node.inputs[0]) && node.is('Mul') ? 0 : -1;
    const tensor = index < 0 ? undefined : constantOf(node.inputs[index]);
    const number = tensor && scalarOf(tensor);
    if (number === undefined || number === 0 || tensor!.shape.length > (at.shape?.length ?? 0)) break;
    factor *= node.is('Mul') ? number : 1 / number;
    at = node.inputs[1 - index]!;
  }
  return { value: at, factor };
}

/** What a Transpose of the last two dimensions was made of. */
function transposedOperand(value: Value): Value | undefined {
  const node = value.producer;
  if (!node?.is('Transpose')) return undefined;
  const perm = node.ints('perm');
  const rank = perm?.length ?? 0;
  if (perm === undefined || rank < 3) return undefined;
  const swapped = perm.every((axis, at) =>
    at === rank - 2 ? axis === rank - 1 : at === rank - 1 ? axis === rank - 2 : axis === at,
  );
  return swapped ? node.inputs[0] : undefined;
}

/**
 * What was repeated head by head: Reshape([b, kv, n, t, d] → [b, kv·n, t, d]) of an Expand or Tile of [b, kv, 1, t, d].
 * Undefined where nothing is repeated. Heads repeated as a block (h₀h₁h₀h₁) are not this and stay.
 */
export function unrepeated(value: Value): Value | undefined {
  const reshape = value.producer;
  const wide = reshape?.is('Reshape') ? reshape.inputs[0] : undefined;
  const repeat = wide?.producer;
  if (wide === undefined || repeat === undefined || !(repeat.is('Expand') || repeat.is('Tile')))
    return undefined;
  const narrow = repeat.inputs[0]!;
  const [to, from] = [wide.shape, narrow.shape];
  const whole = value.shape;
  if (to?.length !== 5 || from?.length !== 5 || whole?.length !== 4) return undefined;
  if (from[2] !== 1 || typeof to[2] !== 'number' || typeof to[1] !== 'number') return undefined;
  if (from[1] !== to[1] || from[4] !== to[4] || whole[1] !== to[1] * to[2] || whole[3] !== to[4])
    return undefined;
  const unsqueeze = narrow.producer;
  if (!unsqueeze?.is('Unsqueeze') || uniformNumber(unsqueeze.inputs[1]) !== 2) return undefined;
  return unsqueeze.inputs[0];
}
