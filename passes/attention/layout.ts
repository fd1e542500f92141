/** Values of heads in the layout that ONNX Runtime's attention operators read: [batch, tokens, heads · size]. */
import type { Attention, Node, Value } from '../../src/index.js';
import type { Builder } from './builder.js';

const ROTARY = 'RotaryEmbedding';

/** The rotation that a value comes out of, when nobody else reads it. */
export const rotationOf = (value: Value): Node | undefined =>
  value.producer?.is(ROTARY, 'com.microsoft') && value.uses.length === 1 && !value.isOutput
    ? value.producer
    : undefined;

/**
 * [batch, heads, tokens, size] → [batch, tokens, heads · size]; three dimensions stay as they are. A rotation on the
 * way is made on the result, so that the transposes around it meet and vanish.
 */
export function asTokens(build: Builder, value: Value, heads: number, size: number): Value {
  if (value.shape?.length === 3) return value;
  const turn = rotationOf(value);
  if (turn !== undefined) {
    const [input, ...tables] = turn.inputs;
    const attributes = {
      ...(turn.int('interleaved', 0) === 1 && { interleaved: 1 }),
      num_heads: heads,
      ...(turn.int('rotary_embedding_dim', 0) > 0 && {
        rotary_embedding_dim: turn.int('rotary_embedding_dim', 0),
      }),
    };
    const tokens = asTokens(build, input!, heads, size);
    return build.contrib(ROTARY, [tokens, ...tables], attributes, [value.name]).outputs[0]!;
  }
  const swapped = build.op('Transpose', [value], { perm: [0, 2, 1, 3] });
  return build.op('Reshape', [swapped, build.ints('tokens', 0, 0, heads * size)]);
}

/** [batch, tokens, heads · size] → the layout that the attention gave before. */
export function asHeads(
  build: Builder,
  tokens: Value,
  { rank, heads, valueHeadSize, output }: Attention,
): Value {
  if (rank === 3) return tokens;
  const apart = build.op('Reshape', [tokens, build.ints('heads', 0, 0, heads, valueHeadSize)]);
  return build.op('Transpose', [apart], { perm: [0, 2, 1, 3] }, output.name);
}

/** Keys with tokens before size, whichever way the product read them. */
export function keyOf(build: Builder, { key, keyIsTransposed, rank }: Attention): Value {
  if (!keyIsTransposed) return key;
  return build.op('Transpose', [key], { perm: rank === 4 ? [0, 1, 3, 2] : [0, 2, 1] });
}
