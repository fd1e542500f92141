/** Generation by the likeliest token, over whatever runs a decoder: with a cache of keys and values, or without. */
import { QuantcError } from '../errors/error.js';
import { Tensor } from '../ir/tensor.js';
import type { Port } from './session.js';

/** What runs a decoder: a session of any executor. */
export interface Decoder {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  run(
    feeds: Readonly<Record<string, Tensor>>,
    wanted?: readonly string[],
  ): Promise<Readonly<Record<string, Tensor>>>;
}

const PAST = /^past_key_values\.(\d+)\.(key|value)$/;

/**
 * The tokens that follow a prompt, each the one of the largest logit (of equal ones the first).
 *
 * A decoder with inputs `past_key_values.N.key` computes the prompt once and then one token a run; `attention_mask`
 * (ones) and `position_ids` are given where it has them. One without computes all tokens anew each time.
 * @param prompt token ids, at least one
 * @throws QuantcError E_DECODE for an empty prompt, or inputs and outputs that are no decoder's
 */
export async function greedyDecode(
  decoder: Decoder,
  prompt: readonly number[],
  count: number,
): Promise<number[]> {
  if (prompt.length === 0) throw wrong('the prompt is empty');
  const names = decoder.inputs.map(({ name }) => name);
  const cached = decoder.inputs.filter(({ name }) => PAST.test(name));
  const ids =
    names.find((name) => name === 'input_ids') ??
    names.find((name) => !AUXILIARY.has(name) && !PAST.test(name));
  if (ids === undefined) throw wrong(`it has no input of tokens among ${names.join(', ')}`);
  const idType = decoder.inputs.find(({ name }) => name === ids)!.type;
  const int32 = idType?.kind === 'tensor' && idType.dtype === 'int32';
  const tokens = [...prompt];
  let past = emptyCache(cached);
  for (let made = 0; made < count; made++) {
    const fresh = cached.length === 0 || made === 0 ? tokens.slice(0) : tokens.slice(-1);
    const start = tokens.length - fresh.length;
    const feeds: Record<string, Tensor> = { ...past };
    feeds[ids] = whole(fresh, int32);
    if (names.includes('attention_mask')) feeds['attention_mask'] = whole(tokens.map(() => 1));
    if (names.includes('position_ids')) feeds['position_ids'] = whole(fresh.map((_, at) => start + at));
    const outputs = await decoder.run(feeds);
    const logits = logitsOf(outputs, fresh.length);
    tokens.push(likeliest(logits, fresh.length - 1));
    past = Object.fromEntries(cached.map(({ name }) => [name, presentOf(outputs, name)]));
  }
  return tokens.slice(prompt.length);
}

const AUXILIARY = new Set(['attention_mask', 'position_ids', 'token_type_ids']);

const wrong = (why: string): QuantcError =>
  new QuantcError('E_DECODE', `cannot decode: ${why}`, { kind: 'usage' });

const whole = (numbers: readonly number[], int32 = false): Tensor =>
  int32
    ? Tensor.of('int32', [1, numbers.length], Int32Array.from(numbers))
    : Tensor.ints(numbers, [1, numbers.length]);

/**
 * Keys and values of no token, as a first run takes them: [1, heads, 0, size] each.
 * @throws QuantcError E_DECODE where the model does not say heads and size
 */
export function emptyCache(inputs: readonly Port[], batch = 1): Record<string, Tensor> {
  const empty: Record<string, Tensor> = {};
  for (const { name, type } of inputs) {
    if (!PAST.test(name)) continue;
    const [, heads, , size] = (type?.kind === 'tensor' && type.shape) || [];
    if (type?.kind !== 'tensor' || typeof heads !== 'number' || typeof size !== 'number')
      throw wrong(`"${name}" does not say its heads and their size`);
    empty[name] = Tensor.of(type.dtype, [batch, heads, 0, size], new Uint8Array(0));
  }
  return empty;
}

function presentOf(outputs: Readonly<Record<string, Tensor>>, past: string): Tensor {
  const name = past.replace('past_key_values', 'present');
  const tensor = outputs[name];
  if (tensor === undefined) throw wrong(`there is no output "${name}"`);
  return tensor;
}

/** The output of [1, tokens, words]. */
function logitsOf(outputs: Readonly<Record<string, Tensor>>, tokens: number): Tensor {
  const logits =
    outputs['logits'] ??
    Object.values(outputs).find(({ shape }) => shape.length === 3 && shape[0] === 1 && shape[1] === tokens);
  if (logits?.shape.length !== 3) throw wrong('no output holds logits of [1, tokens, words]');
  return logits;
}

function likeliest(logits: Tensor, row: number): number {
  const words = logits.shape[2]!;
  const values = logits.toFloat32().subarray(row * words, (row + 1) * words);
  let best = 0;
  for (let word = 1; word < words; word++) if (values[word]! > values[best]!) best = word;
  return best;
}
