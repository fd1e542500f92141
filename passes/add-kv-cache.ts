import {
  type Attention,
  addGraphOutput,
  addInput,
  addOutput,
  attentionAt,
  constantNumbers,
  type Dim,
  definePass,
  fedInputs,
  fedValues,
  type Graph,
  isWholeNumber,
  kvCacheFact,
  type Model,
  maskOf,
  mixingReason,
  Node,
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
import { cachePlainly, hiddenScores, insideOf } from './attention/plain-cache.js';
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
 * Attention that is GroupQueryAttention by now stays so: sequences of one batch are padded at their ends, as its lengths
 * have it. Attention whose heads it does not take is written out again, over all keys.
 */
export const addKvCache = definePass({
  name: 'add-kv-cache',
  doc: 'attention over k and v → over past_key_values.N and k, v, with present.N as outputs; tokens as they come',
  needs: ['typed'],
  async run(model, context) {
    if (kvCacheFact.find(context) === false) return;
    const layers = await layersOf(model, context);
    if (layers.some((layer) => layer instanceof Node && layer.inputs[3] !== undefined)) {
      context.decline('it has a cache already');
      return;
    }
    if (layers.length === 0) throw refusal(model, 'no causal attention was recognized in it');
    const tokens = tokensOf(model);
    requireTokenByToken(model, layers);
    await rewrite(model, context, layers, tokens);
  },
});

/** An attention that looks back: one operator, or its parts where no operator takes its heads. */
type Layer = Node | Attention;

async function layersOf(model: Model, context: PassContext): Promise<Layer[]> {
  const prober = new Prober(model, context.engine);
  const layers: Layer[] = [];
  for (const node of model.graph.nodes()) {
    if (node.is('GroupQueryAttention', 'com.microsoft')) layers.push(node);
    const attention = node.is('Softmax') ? attentionAt(node) : '';
    if (typeof attention === 'string' || attention.rank !== 4) continue;
    const { kind } = await maskOf(prober, attention);
    const isPlain =
      attention.scores.softcap === undefined && /^float(16)?$/.test(attention.query.dtype ?? '');
    if (isPlain && (kind === 'causal' || kind === 'causal+padding')) layers.push(attention);
  }
  return layers;
}

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

/** Nodes of attentions that are written out; they may read tokens together. */
const insideAll = (layers: readonly Layer[]): Set<Node> =>
  new Set(layers.flatMap((layer) => (layer instanceof Node ? [] : [...insideOf(layer)])));

function requireTokenByToken(model: Model, layers: readonly Layer[]): void {
  const inside = insideAll(layers);
  const fed = fedValues(model.graph, fedInputs(model.graph));
  for (const node of model.graph.nodes()) {
    if (inside.has(node) || !node.outputs.some((output) => fed.has(output))) continue;
    if (node.subgraphs.length > 0) throw refusal(model, `${node.label} holds a graph of its own`);
    const reason = mixingReason(node);
    if (reason !== undefined) throw refusal(model, reason);
  }
}

async function rewrite(
  model: Model,
  context: PassContext,
  layers: readonly Layer[],
  tokens: Value,
): Promise<void> {
  const { graph } = model;
  const [batch] = tokens.shape as readonly Dim[];
  const mask = maskInput(model, batch!);
  const constants = new Map<string, Value>();
  const build = new Builder(model, graph.first!, constants);
  // Positions come in from outside only where something but the attention itself asks for them.
  let positions = fedInputs(graph).find(({ name }) => name === 'position_ids');
  const positionIds = (): Value => {
    positions ??= addInput(graph, 'position_ids', tensorType('int64', [batch!, tokens.shape![1]!]));
    return positions;
  };
  const places = new Prober(model, context.engine);
  await placeTokens(build, places, context, insideAll(layers), positionIds, (why) => refusal(model, why));
  for (const node of graph.nodes()) {
    const starts = node.is('RotaryEmbedding', 'com.microsoft') ? constantNumbers(node.inputs[1]) : undefined;
    if (starts !== undefined) setInput(node, 1, positionIds());
  }
  const before = new Set(graph.nodes());
  const plain = new PlainLayers(model, constants, tokens, mask);
  const fused = layers.filter((layer) => layer instanceof Node);
  const lengths = fused.length > 0 ? lengthsOf(build, mask) : undefined;
  layers.forEach((layer, at) => {
    context.changed(`layer ${at} keeps its keys and values`, layer instanceof Node ? layer : layer.softmax);
    if (layer instanceof Node) giveCache(graph, layer, at, batch!, lengths!);
    else plain.rewrite(layer, at, batch!);
  });
  const reader = mask.uses.find(({ node }) => before.has(node));
  if (reader !== undefined)
    throw refusal(model, `${reader.node.label} does more with "${mask.name}" than hide tokens`);
}

/** Layers in operators of ai.onnx, which share what hides scores. */
class PlainLayers {
  readonly #biases = new Map<string, Value>();
  constructor(
    readonly model: Model,
    readonly constants: Map<string, Value>,
    readonly tokens: Value,
    readonly mask: Value,
  ) {}

  rewrite(attention: Attention, layer: number, batch: Dim): void {
    const build = new Builder(this.model, attention.product, this.constants);
    const dtype = attention.query.dtype as 'float' | 'float16';
    const bias = this.#biases.get(dtype) ?? hiddenScores(build, this.tokens, this.mask, dtype);
    this.#biases.set(dtype, bias);
    cachePlainly(build, attention, layer, batch, bias, { past: PAST, present: PRESENT, total: TOTAL });
  }
}

/** The model's own mask, now as long as all tokens together, or a new one. */
function maskInput(model: Model, batch: Dim): Value {
  const type = tensorType('int64', [batch, TOTAL]);
  const known = fedInputs(model.graph).find(({ name }) => name === 'attention_mask');
  if (known === undefined) return addInput(model.graph, 'attention_mask', type);
  if (known.dtype !== 'int64')
    throw refusal(model, `"attention_mask" is ${known.dtype ?? 'untyped'}, not int64`);
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
