/** Attention over a cache in operators that every executor has: for heads that no fused operator takes. */
import {
  type Attention,
  addGraphOutput,
  addInput,
  type Dim,
  type Node,
  realArray,
  renameValue,
  replaceAllUses,
  setType,
  Tensor,
  tensorType,
  type Value,
} from '../../src/index.js';
import type { Builder } from './builder.js';
import { discard } from './discard.js';
import { keyOf } from './layout.js';

/** Hides a score: its exponential is 0 beside any other, and a row of nothing else stays finite. */
const HIDDEN = -1e9;
/** Of float16 the largest is 65504. */
const HIDDEN_HALF = -6e4;

const KEEPS_LAYOUT = /^(RotaryEmbedding|(Simplified)?LayerNormalization|Mul|Div|Add|Identity|Cast)$/;

/** Which nodes lie inside of an attention: from queries, keys and values to what it gives, layouts around it included. */
export function insideOf(attention: Attention): Set<Node> {
  const ends = new Set([attention.query, attention.key, attention.value]);
  const inside = new Set<Node>();
  const stack: Value[] = [attention.output];
  while (stack.length > 0) {
    const value = stack.pop()!;
    const node = value.producer;
    if (node === undefined || ends.has(value) || inside.has(node)) continue;
    inside.add(node);
    if (node.is('Shape')) continue;
    for (const input of node.inputs) if (input !== undefined) stack.push(input);
  }
  // Heads are turned to the front before, perhaps rotated and normalized there, and turned back behind.
  for (const end of ends) {
    let node = end.producer;
    while (node !== undefined && KEEPS_LAYOUT.test(node.opType)) node = node.inputs[0]?.producer;
    if (node?.is('Transpose')) inside.add(node);
  }
  for (const { node } of attention.output.uses) if (node.is('Transpose')) inside.add(node);
  return inside;
}

/** What layers of one decoder share. */
export interface CacheNames {
  readonly past: (layer: number, which: 'key' | 'value') => string;
  readonly present: (layer: number, which: 'key' | 'value') => string;
  readonly total: string;
}

/**
 * Keys and values of earlier tokens before those of the new ones, then Softmax(Q·Kᵀ·scale + bias)·V as it was.
 * @param bias made by {@link hiddenScores}
 */
export function cachePlainly(
  build: Builder,
  attention: Attention,
  layer: number,
  batch: Dim,
  bias: Value,
  names: CacheNames,
): void {
  const { query, value, heads, kvHeads, headSize, valueHeadSize, scale, output, product } = attention;
  const { graph } = product;
  const dtype = query.dtype!;
  const joined = (which: 'key' | 'value', fresh: Value, size: number): Value => {
    const type = (length: string) => tensorType(dtype, [batch, kvHeads, length, size]);
    const past = addInput(graph, names.past(layer, which), type('past_sequence_length'));
    const present = build.op('Concat', [past, fresh], { axis: 2 });
    renameValue(present, names.present(layer, which));
    setType(present, type(names.total));
    addGraphOutput(graph, present);
    return kvHeads === heads ? present : repeated(build, present, heads, kvHeads, size);
  };
  const keys = joined('key', keyOf(build, attention), headSize);
  const values = joined('value', value, valueHeadSize);
  const product0 = build.op('MatMul', [query, build.op('Transpose', [keys], { perm: [0, 1, 3, 2] })]);
  const factor = build.constant(`scale/${scale}/${dtype}`, () => Tensor.scalar(scale, dtype));
  const scores = build.op('Add', [build.op('Mul', [product0, factor]), bias]);
  const weights = build.op('Softmax', [scores], { axis: -1 });
  replaceAllUses(output, build.op('MatMul', [weights, values], {}, output.name));
  discard(product);
}

function repeated(build: Builder, value: Value, heads: number, kvHeads: number, size: number): Value {
  const apart = build.op('Unsqueeze', [value, build.ints('axis', 2)]);
  const wide = build.op('Expand', [apart, build.ints('repeats', 1, 1, heads / kvHeads, 1, 1)]);
  return build.op('Reshape', [wide, build.ints('all_heads', 0, heads, -1, size)]);
}

/**
 * 0 where a new token sees a key, else a number that hides it: [batch, 1, tokens, total]. Keys are seen up to a token's
 * own place, where the mask of all tokens says 1.
 */
export function hiddenScores(build: Builder, tokens: Value, mask: Value, dtype: 'float' | 'float16'): Value {
  const one = build.constant('one_scalar', () => Tensor.scalar(1, 'int64'));
  const zero = build.constant('zero_scalar', () => Tensor.scalar(0, 'int64'));
  const length = (value: Value): Value => build.op('Gather', [build.op('Shape', [value]), one], { axis: 0 });
  const [fresh, total] = [length(tokens), length(mask)];
  const keys = build.op('Range', [zero, total, one]);
  const own = build.op('Range', [build.op('Sub', [total, fresh]), total, one]);
  const before = build.op('LessOrEqual', [keys, build.op('Unsqueeze', [own, build.ints('last', 1)])]);
  const counts = build.op('Unsqueeze', [build.op('Cast', [mask], { to: 9 }), build.ints('middle', 1, 2)]);
  const seen = build.op('And', [before, counts]);
  const number = (name: string, value: number): Value =>
    build.constant(`${name}/${dtype}`, () => {
      const array = realArray(dtype, 1);
      array[0] = value;
      return Tensor.of(dtype, [], array);
    });
  const hidden = number('hidden', dtype === 'float' ? HIDDEN : HIDDEN_HALF);
  return build.op('Where', [seen, number('shown', 0), hidden]);
}
