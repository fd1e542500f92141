/**
 * Many texts that a decoder draws from itself, by a copy of it that keeps keys and values of earlier tokens: the work of
 * a text grows with its length, not with its square.
 */
import { canonicalization, fusionsNamed } from '../../../passes/index.js';
import { SeededRandom } from '../../calibration/random.js';
import { drawTexts, type SelfSampling, type Texts } from '../../calibration/self-sampled.js';
import { QuantcError } from '../../errors/error.js';
import { Tensor } from '../../ir/tensor.js';
import { readModel } from '../../onnx/read.js';
import { runPipeline } from '../../pipeline/run.js';
import { createEngine } from '../../runtime/engine.js';
import { type Session, withSession } from '../../runtime/session.js';

/** Texts that are drawn side by side. */
const TOGETHER = 128;
const SEED = 20_240_326;

/**
 * Draws `how.texts` texts of `how.length` tokens, every one as likely as the model thinks it is: the same for the same
 * model every time, by a seeded generator and on one thread.
 * @param beginnings first tokens, by text in turn; absent: any words of the vocabulary
 * @returns the reason where the model turns out to be no decoder
 */
export async function drawContinuations(
  path: string,
  how: SelfSampling,
  beginnings?: readonly number[],
): Promise<Texts | string> {
  const model = readModel(path);
  const engine = createEngine();
  try {
    await runPipeline(model, [...canonicalization, ...fusionsNamed([], true)], { engine });
  } catch (error) {
    if (!(error instanceof QuantcError) || error.code !== 'E_KV_CACHE') throw error;
    // Without a cache, every token is computed anew for each that follows.
    return drawTexts(path, { ...how, texts: Math.min(how.words, how.texts) });
  }
  const random = new SeededRandom(SEED);
  const first = (text: number): number =>
    beginnings === undefined ? random.integer(how.words) : beginnings[text % beginnings.length]!;
  const tokens = new Int32Array(how.texts * how.length);
  return withSession(model, { threads: 1 }, async (session) => {
    for (let done = 0; done < how.texts; done += TOGETHER) {
      const count = Math.min(TOGETHER, how.texts - done);
      const own = tokens.subarray(done * how.length, (done + count) * how.length);
      for (let text = 0; text < count; text++) own[text * how.length] = first(done + text);
      const refused = await continueAll(session, how, own, count, random);
      if (refused !== undefined) return refused;
    }
    return { tokens, length: how.length };
  });
}

/** Goes on with texts whose first tokens are there, token by token. */
async function continueAll(
  session: Session,
  { ids, dtype, words, length }: SelfSampling,
  tokens: Int32Array,
  texts: number,
  random: SeededRandom,
): Promise<string | undefined> {
  let past: Record<string, Tensor> | undefined;
  for (let at = 0; at + 1 < length; at++) {
    const column = Array.from({ length: texts }, (_, text) => tokens[text * length + at]!);
    const current =
      dtype === 'int32'
        ? Tensor.of('int32', [texts, 1], Int32Array.from(column))
        : Tensor.ints(column, [texts, 1]);
    const found = await session.run({
      [ids]: current,
      ...(past && { ...past, ...beside(session, texts, at) }),
    });
    past = {};
    let logits: Tensor | undefined;
    for (const [name, tensor] of Object.entries(found)) {
      if (name.startsWith('present.')) past[name.replace('present', 'past_key_values')] = tensor;
      else if (tensor.shape.length === 3) logits ??= tensor;
    }
    const size = logits?.shape[2] ?? 0;
    if (logits === undefined || size < words) return 'no output holds a number a word for every token';
    const values = logits.toFloat32();
    for (let text = 0; text < texts; text++)
      tokens[text * length + at + 1] = random.bySoftmax(values.subarray(text * size, text * size + words));
  }
  return undefined;
}

/** Mask and positions of one more token behind `past` others. */
function beside(session: Session, texts: number, past: number): Record<string, Tensor> {
  const names = session.inputs.map(({ name }) => name);
  const all = (value: number, tokens: number): Tensor =>
    Tensor.ints(new Array<number>(texts * tokens).fill(value), [texts, tokens]);
  return {
    ...(names.includes('attention_mask') && { attention_mask: all(1, past + 1) }),
    ...(names.includes('position_ids') && { position_ids: all(past, 1) }),
  };
}
