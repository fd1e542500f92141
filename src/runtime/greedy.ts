/** Generation by the likeliest token, over whatever runs a decoder: with a cache of keys and values, or without. */
import { QuantcError } from '../errors/error.js';
import { Tensor } from '../ir/tensor.js';
import { cacheInputs, emptyCache, presentOf } from './first-run.js';
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
  const cached = cacheInputs(decoder.inputs);
  const ids =
    names.find((name) => name === 'input_ids') ??
    names.find((name) => !AUXILIARY.has(name) && cached.every((each) => each.name !== name));
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
    past = Object.fromEntries(
      cached.map(({ name }) => {
        const tensor = outputs[presentOf(name)];
        if (tensor === undefined) throw wrong(`there is no output "${presentOf(name)}"`);
        return [name, tensor];
      }),
    );
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
