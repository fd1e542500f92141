/** Whether a decoder with a cache answers token by token as it does for all tokens at once. */
import { Tensor } from '../ir/tensor.js';
import { type ErrorFacts, ErrorSum } from '../quant/error.js';
import { cacheInputs, presentOf } from './first-run.js';
import type { Decoder } from './greedy.js';

/** Tokens that are fed one at a time. */
const STEPS = 8;

/** One output, token by token against all at once. */
export interface StepwiseError extends ErrorFacts {
  readonly name: string;
}

type Feeds = Readonly<Record<string, Tensor>>;

/**
 * Feeds the first tokens of a sample at once and some more one by one, each behind the keys and values of those before.
 * @param sample what the float model is fed: token ids of [batch, tokens] among it
 * @returns the error of the outputs for the tokens fed one by one; undefined where the model has no cache, or the sample
 * fewer than three tokens
 */
export async function compareStepwise(decoder: Decoder, sample: Feeds): Promise<StepwiseError[] | undefined> {
  const cache = cacheInputs(decoder.inputs);
  const tokens = tokensOf(sample);
  if (cache.length === 0 || tokens === undefined) return undefined;
  const [batch, length] = tokens.ids.shape as [number, number];
  const start = length - Math.min(STEPS, length - 2);
  if (start >= length) return undefined;
  const run = feeder(decoder, tokens.name, tokens.ids);
  const whole = await run(0, length, {});
  const compared = Object.entries(whole).filter(
    ([name, { shape }]) => !name.startsWith('present.') && shape[0] === batch && shape[1] === length,
  );
  const sums = compared.map(() => new ErrorSum());
  let answers = await run(0, start, {});
  for (let at = start; at < length; at++) {
    answers = await run(
      at,
      at + 1,
      Object.fromEntries(cache.map(({ name }) => [name, answers[presentOf(name)]!])),
    );
    compared.forEach(([name, all], index) => {
      const width = all.count / (batch * length);
      const [expected, found] = [all.toFloat32(), answers[name]!.toFloat32()];
      for (let row = 0; row < batch; row++) {
        const from = (row * length + at) * width;
        sums[index]!.add(
          expected.subarray(from, from + width),
          found.subarray(row * width, (row + 1) * width),
        );
      }
    });
  }
  return compared.map(([name], index) => ({ name, ...sums[index]!.facts }));
}

/** The token ids of a sample: whole numbers of [batch, tokens] that are neither mask nor positions. */
function tokensOf(sample: Feeds): { name: string; ids: Tensor } | undefined {
  const found = Object.entries(sample).find(
    ([name, { shape, dtype }]) =>
      name !== 'attention_mask' &&
      name !== 'position_ids' &&
      shape.length === 2 &&
      /^int(32|64)$/.test(dtype),
  );
  return found && { name: found[0], ids: found[1] };
}

/** Runs the tokens from one place to another; what is past comes with its mask and positions. */
function feeder(decoder: Decoder, name: string, ids: Tensor) {
  const names = new Set(decoder.inputs.map((input) => input.name));
  const [batch, length] = ids.shape as [number, number];
  const numbers = ids.toNumbers();
  const rows = (
    from: number,
    to: number,
    make: (row: number, token: number) => number,
    dtype: string,
  ): Tensor => {
    const all = Array.from({ length: batch * (to - from) }, (_, at) =>
      make(Math.floor(at / (to - from)), from + (at % (to - from))),
    );
    const shape = [batch, to - from];
    return dtype === 'int32' ? Tensor.of('int32', shape, Int32Array.from(all)) : Tensor.ints(all, shape);
  };
  return (from: number, to: number, past: Feeds) =>
    decoder.run({
      ...past,
      [name]: rows(from, to, (row, token) => numbers[row * length + token]!, ids.dtype),
      ...(from > 0 && names.has('attention_mask') && { attention_mask: rows(0, to, () => 1, 'int64') }),
      ...(from > 0 &&
        names.has('position_ids') && { position_ids: rows(from, to, (_, token) => token, 'int64') }),
    });
}
