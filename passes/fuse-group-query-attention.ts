import {
  type Attention,
  attentionsOf,
  constantNumbers,
  definePass,
  floatAttribute,
  type Graph,
  kvCacheFact,
  type Mask,
  maskOf,
  type Node,
  Prober,
  replaceAllUses,
  sameDim,
  Tensor,
  type Value,
} from '../src/index.js';
import { Builder } from './attention/builder.js';
import { discard } from './attention/discard.js';
import { asHeads, asTokens, keyOf, rotationOf } from './attention/layout.js';

/**
 * For decoders: every token sees those before it. Rotations of queries and keys go into the operator where it takes
 * them. Keys and values that several heads share are no longer repeated.
 */
export const fuseGroupQueryAttention = definePass({
  name: 'fuse-group-query-attention',
  doc: 'Softmax(Q·Kᵀ·scale + triangle)·V → com.microsoft.GroupQueryAttention(q, k, v), which masks what comes later',
  needs: ['typed'],
  async run(model, context) {
    const prober = new Prober(model, context.engine);
    const cached = kvCacheFact.find(context) ?? false;
    const constants = new Map<string, Value>();
    const made: Made = new Map();
    for (const attention of attentionsOf(model.graph)) {
      const reason = obstacle(attention) ?? notCausal(await maskOf(prober, attention), cached);
      if (reason !== undefined) {
        context.decline(reason, attention.softmax);
        continue;
      }
      context.changed(
        `${attention.heads} heads over ${attention.kvHeads}: GroupQueryAttention`,
        attention.softmax,
      );
      emit(new Builder(model, attention.product, constants), attention, made);
    }
  },
});

/** A cache brings lengths of its own, by which what pads the end of a sequence is hidden. */
const notCausal = ({ kind, reason }: Mask, cached: boolean): string | undefined =>
  kind === 'causal' || (cached && kind === 'causal+padding')
    ? undefined
    : `its mask is ${kind}${reason === undefined ? '' : `: ${reason}`}`;

function obstacle(attention: Attention): string | undefined {
  const { rank, heads, kvHeads, headSize, valueHeadSize, query, value } = attention;
  if (rank !== 4) return 'its heads lie in the batch';
  if (headSize !== valueHeadSize) return `keys have ${headSize} numbers a head, values ${valueHeadSize}`;
  if (headSize % 8 !== 0) return `${headSize} numbers a head are no multiple of 8`;
  if (heads % kvHeads !== 0) return `${heads} heads cannot share ${kvHeads}`;
  if (query.dtype !== 'float' && query.dtype !== 'float16')
    return `${query.name} is ${query.dtype ?? 'untyped'}`;
  const [q, k] = [query.shape![2]!, value.shape![2]!];
  return typeof q === 'number' && typeof k === 'number' && q !== k
    ? 'queries and keys differ in number'
    : undefined;
}

function emit(build: Builder, attention: Attention, made: Made): void {
  const { heads, kvHeads, headSize, scale, query, value, scores, output, product } = attention;
  const key = keyOf(build, attention);
  const rotary = commonRotation(query, key, attention);
  const from = (turned: Value): Value => (rotary === undefined ? turned : turned.producer!.inputs[0]!);
  const q = asTokens(build, from(query), heads, headSize);
  const k = asTokens(build, from(key), kvHeads, headSize);
  const v = asTokens(build, value, kvHeads, headSize);
  const { seqlens, total } = lengthsFrom(build, inputOfSameSizes(product.graph, query) ?? q, made);
  const node = build.contrib(
    'GroupQueryAttention',
    [q, k, v, undefined, undefined, seqlens, total, rotary?.inputs[2], rotary?.inputs[3]],
    {
      num_heads: heads,
      kv_num_heads: kvHeads,
      scale: floatAttribute(scale),
      ...(scores.softcap !== undefined && { softcap: floatAttribute(scores.softcap) }),
      ...(rotary !== undefined && { do_rotary: 1, rotary_interleaved: rotary.int('interleaved', 0) }),
    },
    [`${output.name}_tokens`],
  );
  replaceAllUses(output, asHeads(build, node.outputs[0]!, attention));
  discard(attention.product);
}

/**
 * The rotation that queries and keys share, when the operator can make it itself: from position 0 on, 16 numbers a
 * head or a multiple, half of the turned ones a multiple of 8.
 */
function commonRotation(query: Value, key: Value, { headSize }: Attention): Node | undefined {
  const [one, other] = [rotationOf(query), rotationOf(key)];
  if (one === undefined || other === undefined || headSize % 16 !== 0) return undefined;
  if (one.inputs.slice(1).some((input, at) => input !== other.inputs[at + 1])) return undefined;
  const same = (name: string) => one.int(name, 0) === other.int(name, 0);
  const starts = constantNumbers(one.inputs[1]);
  const pairs = one.inputs[2]?.shape?.[1];
  const fits = typeof pairs === 'number' && pairs % 8 === 0 && starts?.length === 1 && starts[0] === 0;
  return fits && same('interleaved') && same('rotary_embedding_dim') ? one : undefined;
}

/** How many tokens there are, as the operator asks: the last index of each sequence, and the number of all. */
interface Lengths {
  readonly seqlens: Value;
  readonly total: Value;
}
/** Lengths by the value whose shape says them: once for all layers. */
type Made = Map<Value, Lengths>;

/** An input of the graph that has as many sequences and tokens: the same for every layer. */
function inputOfSameSizes(graph: Graph, { shape }: Value): Value | undefined {
  return graph.inputs.find((input) => {
    const [batch, length] = input.shape ?? [];
    const rank = input.shape?.length ?? 0;
    if (rank < 2 || rank > 3 || !sameDim(batch, shape![0])) return false;
    return sameDim(length, shape![2]) || (shape![2] === null && typeof length === 'string' && rank === 2);
  });
}

function lengthsFrom(build: Builder, source: Value, made: Made): Lengths {
  const known = made.get(source);
  if (known !== undefined) return known;
  const shape = build.op('Shape', [source]);
  const zero = build.ints('zero', 0);
  const batch = build.op('Gather', [shape, zero], { axis: 0 });
  const one64 = build.constant('one_scalar', () => Tensor.scalar(1, 'int64'));
  const total = build.op(
    'Cast',
    [build.op('Gather', [shape, one64], { axis: 0 })],
    { to: 6 },
    'total_sequence_length',
  );
  const one = build.constant('one_int32', () => Tensor.scalar(1, 'int32'));
  const last = build.op('Sub', [total, one]);
  const seqlens = build.op('Expand', [last, batch], {}, 'seqlens_k');
  const result = { seqlens, total };
  made.set(source, result);
  return result;
}
