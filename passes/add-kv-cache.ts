import {
  addGraphOutput,
  addInput,
  addOutput,
  constantNumbers,
  type Dim,
  definePass,
  fedInputs,
  fedValues,
  type Graph,
  isWholeNumber,
  kvCacheFact,
  type Model,
  mixingReason,
  type Node,
  type PassContext,
  Prober,
  QuantcError,
  renameValue,
  setInput,
  setType,
  Tensor,
  tensorType,
  type Value,
} from '../src/index.js';
import { Builder } from './attention/builder.js';
import { placeTokens } from './attention/positions.js';

/** Names that generation loops look for; `N` counts layers from 0. */
const PAST = (layer: number, which: 'key' | 'value') => `past_key_values.${layer}.${which}`;
const PRESENT = (layer: number, which: 'key' | 'value') => `present.${layer}.${which}`;
const TOTAL = 'total_sequence_length';

/**
 * A decoder that computes all tokens anew each time becomes one that is given the keys and values of earlier tokens
 * and computes the new ones alone. What it answers for each token is the same: attention is causal, and everything
 * else treats tokens one by one, which is checked node by node.
 *
 * Sequences of one batch may be padded at their ends (attention_mask 0 there), as the operator's lengths have it.
 */
export const addKvCache = definePass({
  name: 'add-kv-cache',
  doc: 'GroupQueryAttention(q, k, v) → with past_key_values.N as inputs and present.N as outputs; tokens as they come',
  needs: ['typed'],
  async run(model, context) {
    if (kvCacheFact.find(context) === false) return;
    const { graph } = model;
    const attentions = [...graph.nodes()].filter((node) => node.is('GroupQueryAttention', 'com.microsoft'));
    if (attentions.some((node) => node.inputs[3] !== undefined)) {
      context.decline('it has a cache already');
      return;
    }
    if (attentions.length === 0) throw refusal(model, 'no causal attention was recognized in it');
    const tokens = tokensOf(model);
    requireTokenByToken(model);
    await rewrite(model, context, attentions, tokens);
  },
});

const refusal = (model: Model, why: string): QuantcError =>
  new QuantcError('E_KV_CACHE', `the model cannot be given a cache of keys and values: ${why}`, {
    place: { file: model.file },
    hint: 'Only decoders can: each token sees those before it. `quantc inspect --roles` tells what was recognized.',
  });

/** The input of [batch, tokens] or [batch, tokens, channels] that is not a mask or positions. */
function tokensOf(model: Model): Value {
  const inputs = fedInputs(model.graph);
  const main = inputs.find((input) => readsTokens(input)) ?? inputs.find(({ shape }) => shape?.length === 3);
  if (main === undefined || (main.shape?.length ?? 0) < 2) throw refusal(model, 'it has no input of tokens');
  if (typeof main.shape![1] === 'number')
    throw refusal(model, `"${main.name}" is fixed to ${main.shape![1]} tokens`);
  return main;
}

/** Token ids look rows up in a table of weights. */
const readsTokens = (input: Value): boolean =>
  isWholeNumber(input.dtype) &&
  input.shape?.length === 2 &&
  input.uses.some(({ node, index }) =>
    node.is('Cast')
      ? readsTokens(node.outputs[0]!)
      : index === 1 && /^Gather(BlockQuantized)?$/.test(node.opType) && node.inputs[0]!.dtype !== 'int64',
  );

function requireTokenByToken(model: Model): void {
  const fed = fedValues(model.graph, fedInputs(model.graph));
  for (const node of model.graph.nodes()) {
    if (!node.outputs.some((output) => fed.has(output))) continue;
    if (node.subgraphs.length > 0) throw refusal(model, `${node.label} holds a graph of its own`);
    const reason = mixingReason(node);
    if (reason !== undefined) throw refusal(model, reason);
  }
}

async function rewrite(
  model: Model,
  context: PassContext,
  attentions: readonly Node[],
  tokens: Value,
): Promise<void> {
  const { graph } = model;
  const [batch] = tokens.shape as readonly Dim[];
  const mask = maskInput(model, batch!);
  const build = new Builder(model, graph.first!);
  // Positions come in from outside only where something but the attention itself asks for them.
  let positions = fedInputs(graph).find(({ name }) => name === 'position_ids');
  const positionIds = (): Value => {
    positions ??= addInput(graph, 'position_ids', tensorType('int64', [batch!, tokens.shape![1]!]));
    return positions;
  };
  await placeTokens(build, new Prober(model, context.engine), context, positionIds, (why) =>
    refusal(model, why),
  );
  const lengths = lengthsOf(build, mask);
  attentions.forEach((node, layer) => {
    context.changed(`layer ${layer} keeps its keys and values`, node);
    giveCache(graph, node, layer, batch!, lengths);
  });
  for (const node of graph.nodes()) {
    const starts = node.is('RotaryEmbedding', 'com.microsoft') ? constantNumbers(node.inputs[1]) : undefined;
    if (starts !== undefined) setInput(node, 1, positionIds());
  }
}

/** The model's own mask, now as long as all tokens together, or a new one. */
function maskInput(model: Model, batch: Dim): Value {
  const { graph } = model;
  const type = tensorType('int64', [batch, TOTAL]);
  const known = fedInputs(graph).find(({ name }) => name === 'attention_mask');
  if (known === undefined) return addInput(graph, 'attention_mask', type);
  if (known.uses.length > 0) throw refusal(model, '"attention_mask" does more than hide tokens');
  setType(known, type);
  return known;
}

/** The last index of each sequence, and how many tokens there are with those of the past. */
function lengthsOf(build: Builder, mask: Value): readonly [seqlens: Value, total: Value] {
  const sums = build.op('ReduceSum', [mask, build.ints('one', 1)], { keepdims: 0 });
  const last = build.op('Sub', [sums, build.ints('one', 1)]);
  const seqlens = build.op('Cast', [last], { to: 6 }, 'seqlens_k');
  const one = build.constant('one_scalar', () => Tensor.scalar(1, 'int64'));
  const size = build.op('Gather', [build.op('Shape', [mask]), one], { axis: 0 });
  return [seqlens, build.op('Cast', [size], { to: 6 }, 'total_sequence_length')];
}

function giveCache(
  graph: Graph,
  node: Node,
  layer: number,
  batch: Dim,
  lengths: readonly [Value, Value],
): void {
  const heads = node.int('kv_num_heads', 0);
  const query = node.inputs[0]!;
  const queryHeads =
    node.inputs[1] === undefined ? node.int('num_heads', 1) + 2 * heads : node.int('num_heads', 1);
  const size = (query.shape!.at(-1) as number) / queryHeads;
  const type = (length: string) => tensorType(query.dtype!, [batch, heads, length, size]);
  for (const [at, which] of (['key', 'value'] as const).entries()) {
    setInput(node, 3 + at, addInput(graph, PAST(layer, which), type('past_sequence_length')));
    const present = node.outputs[1 + at] ?? addOutput(node, PRESENT(layer, which), type(TOTAL));
    renameValue(present, PRESENT(layer, which));
    setType(present, type(TOTAL));
    addGraphOutput(graph, present);
  }
  setInput(node, 5, lengths[0]);
  setInput(node, 6, lengths[1]);
}
