/** What each product with weights is there for, told by the structure around it: names are never asked. */
import type { Graph, Node, Value } from '../ir/graph.js';
import { attentionAt, type Rejection, weightedSum } from './attention.js';
import { type FeedForward, feedForwardsOf } from './feed-forward.js';
import {
  columnsAlong,
  type Projection,
  productOf,
  projectionAbove,
  projectionBelow,
  type Upstream,
} from './projection.js';
import { rotaryAt } from './rotary.js';
import { isFixed, scoresOf } from './scores.js';

/** One attention with the products around it. */
export interface AttentionRoles {
  /** The Softmax, or the operator that is the whole attention. */
  readonly node: Node;
  readonly q: Projection | undefined;
  readonly k: Projection | undefined;
  readonly v: Projection | undefined;
  readonly o: Projection | undefined;
  readonly heads: number | undefined;
  readonly kvHeads: number | undefined;
  readonly headSize: number | undefined;
  readonly scale: number | undefined;
  readonly rotary: { readonly size: number; readonly interleaved: boolean } | undefined;
  /** True where queries come from another sequence than keys and values. */
  readonly cross: boolean;
  /** Why it is not rewritten, though it is one. */
  readonly oddity: string | undefined;
}

/** A table of rows that indices look up. */
export interface Embedding {
  readonly node: Node;
  /** True where the indices are fed, and no other table has more rows: the words. */
  readonly isVocabulary: boolean;
}

export interface Roles {
  readonly attentions: readonly AttentionRoles[];
  readonly feedForwards: readonly FeedForward[];
  readonly embeddings: readonly Embedding[];
  /** The product that gives a number a word. */
  readonly head: Node | undefined;
  readonly norms: readonly Node[];
  /** Each Softmax that is no attention, with the reason. */
  readonly rejections: readonly Rejection[];
}

const FUSED =
  /^(MultiHeadAttention|GroupQueryAttention|Attention|QAttention|PagedAttention|DecoderMaskedMultiHeadAttention)$/;
const NORM = /^(Skip)?(Simplified)?LayerNormalization$|^RMSNormalization$/;

/** The roles of a graph's nodes; subgraphs are graphs of their own. */
export function rolesOf(graph: Graph): Roles {
  const attentions: AttentionRoles[] = [];
  const rejections: Rejection[] = [];
  const norms: Node[] = [];
  for (const node of graph.nodes()) {
    if (node.is('Softmax')) {
      const found = decomposed(node);
      if ('reason' in found) rejections.push(found);
      else attentions.push(found);
    } else if (FUSED.test(node.opType)) attentions.push(fused(node));
    else if (NORM.test(node.opType) || isMeanOfSquares(node)) norms.push(node);
  }
  const isTransformer = attentions.length > 0;
  const taken = new Set(attentions.flatMap(({ q, k, v, o }) => [q, k, v, o].map((each) => each?.node)));
  const embeddings = embeddingsOf(graph);
  return {
    attentions,
    feedForwards: isTransformer ? feedForwardsOf(graph, taken) : [],
    embeddings: isTransformer ? embeddings : [],
    head: isTransformer ? headOf(graph, embeddings) : undefined,
    norms: isTransformer ? norms : [],
    rejections,
  };
}

/** mean(x²), the heart of a norm that is written out. */
function isMeanOfSquares(node: Node): boolean {
  const square = node.is('ReduceMean') ? node.inputs[0]?.producer : undefined;
  return (
    square !== undefined && (square.is('Pow') || (square.is('Mul') && square.inputs[0] === square.inputs[1]))
  );
}

function decomposed(softmax: Node): AttentionRoles | Rejection {
  const found = attentionAt(softmax);
  const scores = scoresOf(softmax);
  const product = weightedSum(softmax);
  if (scores === undefined || product === undefined) return { node: softmax, reason: found as string };
  const [query, key] = scores.product.inputs as [Value, Value];
  const attention = typeof found === 'string' ? undefined : found;
  return {
    node: softmax,
    ...projections([query, key, product.inputs[1]]),
    o: below(product.outputs[0]!),
    heads: attention?.heads,
    kvHeads: attention?.kvHeads,
    headSize: attention?.headSize,
    scale: attention?.scale ?? scores.scale,
    oddity: typeof found === 'string' ? found : scores.oddity,
  };
}

const below = (value: Value): Projection | undefined => {
  const node = projectionBelow(value);
  return node && { node };
};

type Sources = Pick<AttentionRoles, 'q' | 'k' | 'v' | 'rotary' | 'cross'>;

function projections(values: readonly (Value | undefined)[]): Sources {
  const ups = values.map((value) => value && projectionAbove(value));
  const shared = (up: Upstream): boolean => ups.filter((each) => each?.node === up.node).length > 1;
  const [q, k, v] = ups.map((up): Projection | undefined => {
    if (up === undefined) return undefined;
    const { node, beside } = up;
    return { node, ...(beside && { beside }), ...(shared(up) && columnsAlong(up)) };
  });
  const turned = ups[0]?.path
    .map(({ producer }) => producer && rotationAt(producer))
    .find((each) => each !== undefined);
  const [from, to] = [q, k].map((each) => each && productOf(each.node)?.data);
  return { q, k, v, rotary: turned, cross: from !== undefined && to !== undefined && from !== to };
}

function rotationAt(node: Node): AttentionRoles['rotary'] {
  if (node.opType === 'RotaryEmbedding') {
    const pairs = node.inputs[node.domain === '' ? 1 : 2]?.shape?.at(-1);
    return { size: typeof pairs === 'number' ? 2 * pairs : 0, interleaved: node.int('interleaved', 0) === 1 };
  }
  const rotary = rotaryAt(node);
  return rotary && { size: rotary.size, interleaved: rotary.interleaved };
}

function fused(node: Node): AttentionRoles {
  const heads = node.int('num_heads') ?? node.int('q_num_heads');
  const kvHeads = node.int('kv_num_heads', heads ?? 0) || heads;
  const ownWeights = node.domain === 'com.microsoft' && /^Q?Attention$/.test(node.opType);
  const sources = ownWeights ? withOwnWeights(node) : fromInputs(node, heads, kvHeads);
  const width = node.inputs[0]?.shape?.at(-1);
  const packed = node.inputs[1] === undefined ? (heads ?? 0) + 2 * (kvHeads ?? 0) : heads;
  const cos = node.int('do_rotary', 0) === 1 ? node.inputs[7]?.shape?.at(-1) : undefined;
  return {
    node,
    ...sources,
    ...(typeof cos === 'number' && {
      rotary: { size: 2 * cos, interleaved: node.int('rotary_interleaved', 0) === 1 },
    }),
    o: below(node.outputs[0]!),
    heads,
    kvHeads,
    headSize: typeof width === 'number' && packed && !ownWeights ? width / packed : undefined,
    scale: node.float('scale'),
    oddity: undefined,
  };
}

/** Attention that multiplies by packed weights itself: queries' columns first, then keys', then values'. */
function withOwnWeights(node: Node): Sources {
  const all = node.inputs[1]?.shape?.at(-1);
  const sizes = node.ints('qkv_hidden_sizes') ?? (typeof all === 'number' ? [all / 3, all / 3, all / 3] : []);
  const part = (at: number): Projection => {
    const start = sizes.slice(0, at).reduce((sum, each) => sum + each, 0);
    return { node, columns: [start, start + (sizes[at] ?? 0)] };
  };
  return { q: part(0), k: part(1), v: part(2), rotary: undefined, cross: false };
}

function fromInputs(node: Node, heads = 0, kvHeads = heads): Sources {
  const [query, key, value] = node.inputs;
  if (key !== undefined) return projections([query, key, value]);
  const up = query && projectionAbove(query);
  const width = query?.shape?.at(-1);
  if (up === undefined || typeof width !== 'number') return projections([query]);
  const unit = width / (heads + 2 * kvHeads);
  const part = (start: number, count: number): Projection => ({
    node: up.node,
    columns: [start * unit, (start + count) * unit],
  });
  return {
    ...projections([query]),
    q: part(0, heads),
    k: part(heads, kvHeads),
    v: part(heads + kvHeads, kvHeads),
  };
}

function embeddingsOf(graph: Graph): Embedding[] {
  const tables = [...graph.nodes()].filter((node) => {
    const [table, indices] = node.inputs;
    if (node.opType === 'GatherBlockQuantized') return true;
    if (!node.is('Gather') || node.int('axis', 0) !== 0 || table === undefined || indices === undefined)
      return false;
    return table.shape?.length === 2 && isFixed(table) && !/int|bool/.test(table.dtype ?? 'int');
  });
  const rows = (node: Node): number => {
    const dim = node.inputs[0]?.shape?.[0];
    return typeof dim === 'number' ? dim : 0;
  };
  const fed = tables.filter(
    (node) => node.inputs[1] !== undefined && !isFixed(node.inputs[1]) && isFed(node.inputs[1]),
  );
  const most = Math.max(0, ...fed.map(rows));
  return tables.map((node) => ({ node, isVocabulary: fed.includes(node) && rows(node) === most }));
}

/** True for an input of the graph, perhaps cast. */
const isFed = (value: Value): boolean =>
  value.isInput || (value.producer?.is('Cast') === true && isFed(value.producer.inputs[0]!));

/** The product whose result leaves the graph with as many columns as there are words. */
function headOf(graph: Graph, embeddings: readonly Embedding[]): Node | undefined {
  const words = new Set(
    embeddings.filter(({ isVocabulary }) => isVocabulary).map(({ node }) => node.inputs[0]?.shape?.[0]),
  );
  for (const output of graph.outputs) {
    const last = output.shape?.at(-1);
    if (output.shape?.length === undefined || !words.has(last)) continue;
    const up =
      output.producer && productOf(output.producer) ? output.producer : projectionAbove(output)?.node;
    if (up !== undefined) return up;
  }
  return undefined;
}
