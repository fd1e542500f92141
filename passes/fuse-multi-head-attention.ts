import {
  type Attention,
  attentionsOf,
  type Bias,
  definePass,
  floatAttribute,
  type Mask,
  maskOf,
  Prober,
  replaceAllUses,
  sameDim,
  Tensor,
  type Value,
} from '../src/index.js';
import { Builder } from './attention/builder.js';
import { discard } from './attention/discard.js';
import { asHeads, asTokens, keyOf } from './attention/layout.js';

/**
 * Masks of every kind become a bias on the scores, which all of ONNX Runtime's executors add; a mask of keys by their
 * padding alone is not taken on WebGPU. Attention over another sequence (an encoder's) is the same operator.
 */
export const fuseMultiHeadAttention = definePass({
  name: 'fuse-multi-head-attention',
  doc: 'Softmax(Q·Kᵀ·scale + bias)·V → com.microsoft.MultiHeadAttention(q, k, v, bias), its definition',
  needs: ['typed'],
  async run(model, context) {
    const prober = new Prober(model, context.engine);
    const constants = new Map<string, Value>();
    const biases: Biases = new Map();
    for (const attention of attentionsOf(model.graph)) {
      const mask = await maskOf(prober, attention);
      const reason = obstacle(attention);
      if (reason !== undefined) {
        context.decline(reason, attention.softmax);
        continue;
      }
      context.changed(`${attention.heads} heads: MultiHeadAttention`, attention.softmax);
      emit(new Builder(model, attention.product, constants), attention, mask, biases);
    }
  },
});

/** Biases made already, by what they are made of: layers share their masks. */
type Biases = Map<string, Value>;

function obstacle({ heads, kvHeads, query, scores }: Attention): string | undefined {
  if (scores.oddity !== undefined) return scores.oddity;
  if (scores.softcap !== undefined) return 'its scores are bent by a tanh';
  if (kvHeads !== heads) return `${heads} heads share ${kvHeads} of keys and values`;
  return query.dtype === 'float' || query.dtype === 'float16'
    ? undefined
    : `${query.name} is ${query.dtype ?? 'of an unknown type'}`;
}

function emit(build: Builder, attention: Attention, mask: Mask, biases: Biases): void {
  const { heads, headSize, valueHeadSize, query, value, scale, scores, output } = attention;
  const key = keyOf(build, attention);
  const q = asTokens(build, query, heads, headSize);
  const k = asTokens(build, key, heads, headSize);
  const v = asTokens(build, value, heads, valueHeadSize);
  const bias = mask.kind === 'none' ? undefined : biasOf(build, scores.biases, attention, q, k, biases);
  const node = build.contrib(
    'MultiHeadAttention',
    [q, k, v, undefined, undefined, bias],
    { num_heads: heads, scale: floatAttribute(scale) },
    [`${output.name}_tokens`],
  );
  replaceAllUses(output, asHeads(build, node.outputs[0]!, attention));
  discard(attention.product);
}

/** What is added to the scores as one value of [batch or 1, heads or 1, queries, keys]. */
function biasOf(
  build: Builder,
  parts: readonly Bias[],
  attention: Attention,
  q: Value,
  k: Value,
  biases: Biases,
): Value {
  const key = JSON.stringify([
    attention.rank,
    // An encoder's mask serves as many queries as the encoder has tokens, and later as many as the decoder has.
    attention.query.shape!.at(-2) ?? attention.query.name,
    ...parts.map((part) =>
      part.kind === 'add' ? [part.value.name, part.factor] : [part.condition.name, part.fill.name, part.when],
    ),
  ]);
  const known = biases.get(key);
  if (known !== undefined) return known;
  const dtype = attention.query.dtype!;
  const sum = parts.map((part) => termOf(build, part, dtype)).reduce((a, b) => build.op('Add', [a, b]));
  const made = spread(build, parts, sum, attention, q, k);
  biases.set(key, made);
  return made;
}

function termOf(build: Builder, part: Bias, dtype: 'float' | string): Value {
  if (part.kind === 'add') {
    if (part.factor === 1) return part.value;
    const factor = build.constant(`factor/${part.factor}/${dtype}`, () =>
      Tensor.scalar(part.factor, dtype as 'float'),
    );
    return build.op('Mul', [part.value, factor]);
  }
  const zero = build.constant(`zero_bias/${dtype}`, () => Tensor.scalar(0, dtype as 'float'));
  return build.op('Where', part.when ? [part.condition, part.fill, zero] : [part.condition, zero, part.fill]);
}

/** Gives a bias four dimensions, the last two of their full size, as the operator wants them. */
function spread(
  build: Builder,
  parts: readonly Bias[],
  sum: Value,
  attention: Attention,
  q: Value,
  k: Value,
): Value {
  const shapes = parts.flatMap((part) =>
    part.kind === 'add' ? [part.value.shape] : [part.condition.shape, part.fill.shape],
  );
  const rank = Math.max(...shapes.map((shape) => shape?.length ?? attention.rank));
  // Of three dimensions the first is the batch, and there is one head.
  const axes = attention.rank === 3 && rank === 3 ? [1] : [...Array(Math.max(0, 4 - rank)).keys()];
  const wide = axes.length === 0 ? sum : build.op('Unsqueeze', [sum, build.ints('axes', ...axes)]);
  const full = (axis: -2 | -1): boolean => {
    const wanted = axis === -2 ? attention.query.shape!.at(-2) : attention.value.shape!.at(-2);
    return shapes.some(
      (shape) => shape !== undefined && shape.length >= -axis && sameDim(shape.at(axis), wanted),
    );
  };
  if (full(-2) && full(-1)) return wide;
  const tokens = (value: Value): Value =>
    build.op('Gather', [build.op('Shape', [value]), build.ints('one', 1)], { axis: 0 });
  const ones = build.ints('ones', 1, 1);
  return build.op('Expand', [wide, build.op('Concat', [ones, tokens(q), tokens(k)], { axis: 0 })]);
}
