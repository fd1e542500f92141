/**
 * Samples that a decoder makes up by itself, for where there are no data: what a language model says is distributed as
 * what it was taught, and rounding its weights wants no more (LLM-QAT, Liu et al., arXiv 2305.17888). As there, texts
 * begin with any word of the vocabulary, go on with the likeliest one for a few words, and are then drawn as likely as
 * the model thinks they are.
 */
import { QuantcError } from '../errors/error.js';
import { isFloat } from '../ir/dtype.js';
import type { Model } from '../ir/graph.js';
import { Tensor } from '../ir/tensor.js';
import { type Port, type Session, withSession } from '../runtime/session.js';
import { type DataSet, StoredDataSet } from './dataset.js';
import { encodeNpy, parseNpy } from './npy.js';
import { SeededRandom } from './random.js';
import { tableOf } from './vocabulary.js';

/** Multiplications that all runs together may take: some seconds on one thread. */
const MOST_WORK = 2 ** 37;
/** Texts, at most, and at least before they are made shorter. */
const TEXTS = { most: 64, least: 16 };
/** Tokens of a text, the first length that there is time for. */
const LENGTHS = [128, 64, 32, 16] as const;
/** Tokens up to which the likeliest follows, by text in turn. */
const LIKELIEST = [3, 4, 5] as const;
const SEED = 20_230_517;

/** How texts for a decoder are to be drawn. */
export interface SelfSampling {
  /** Name and type of the input of tokens. */
  readonly ids: string;
  readonly dtype: 'int32' | 'int64';
  readonly words: number;
  readonly texts: number;
  readonly length: number;
}

/** Inputs that follow from how many tokens there are. */
const FOLLOWING: ReadonlySet<string> = new Set(['attention_mask', 'position_ids']);

/**
 * Whether, and how, a model can be asked for samples: one input of tokens that a table is indexed by, [batch, tokens] of
 * any size, beside nothing but a mask and positions.
 * @param weights how many it multiplies with, a token
 * @returns the reason where it cannot
 */
export function selfSamplingOf(model: Model, weights: number): SelfSampling | string {
  const inputs = model.graph.inputs.filter(({ constant }) => constant === undefined);
  const [ids, ...more] = inputs.filter(({ name }) => !FOLLOWING.has(name));
  if (ids === undefined || more.length > 0) return 'it has other inputs than tokens, mask and positions';
  const type = ids.type?.kind === 'tensor' ? ids.type : undefined;
  if (type?.shape?.length !== 2 || type.shape.some((dim) => typeof dim === 'number'))
    return `"${ids.name}" is not [batch, tokens] of any size`;
  if (type.dtype !== 'int32' && type.dtype !== 'int64') return `"${ids.name}" holds no integers`;
  const words = tableOf(ids)?.size;
  if (words === undefined || words < 2) return `"${ids.name}" is not looked up in a table`;
  for (const length of LENGTHS) {
    // Without a cache, every token is computed anew for each that follows.
    const work = weights * ((length * (length + 1)) / 2);
    const texts = Math.min(TEXTS.most, words, Math.floor(MOST_WORK / work));
    if (texts >= Math.min(TEXTS.least, words) || (length === LENGTHS.at(-1) && texts > 0))
      return { ids: ids.name, dtype: type.dtype, words, texts, length };
  }
  return 'it is too large to be run so often';
}

/** Token ids, text after text; texts are shorter than asked for where the model takes no longer ones. */
export interface Texts {
  readonly tokens: Int32Array;
  readonly length: number;
}

/**
 * Draws the texts: the same for the same model every time, by a seeded generator and on one thread.
 * @returns the reason where the model turns out to be no decoder
 */
export async function drawTexts(model: Model | string, how: SelfSampling): Promise<Texts | string> {
  return withSession(model, { threads: 1 }, async (session) => {
    const logits = logitsOf(session.outputs);
    if (logits === undefined) return 'no output holds a number a word for every token';
    const length = await longest(session, logits, how);
    if (length === undefined) return 'it fails to run';
    const tokens = await drawWith(session, logits, { ...how, length });
    return typeof tokens === 'string' ? tokens : { tokens, length };
  });
}

/** Tables of positions end somewhere: the length asked for, or the first shorter one that runs. */
async function longest(session: Session, logits: string, how: SelfSampling): Promise<number | undefined> {
  for (const length of LENGTHS) {
    if (length > how.length) continue;
    try {
      await ask(session, logits, { ...how, texts: 1 }, () => 0, length);
      return length;
    } catch (error) {
      if (!(error instanceof QuantcError) || error.code !== 'E_RUNTIME_RUN') throw error;
    }
  }
  return undefined;
}

async function drawWith(session: Session, logits: string, how: SelfSampling): Promise<Int32Array | string> {
  const { texts, length, words } = how;
  const random = new SeededRandom(SEED);
  const drawn = new Int32Array(texts * length);
  const first = distinct(words, texts, random);
  for (let text = 0; text < texts; text++) drawn[text * length] = first[text]!;
  for (let at = 1; at < length; at++) {
    const { data, size } = await ask(
      session,
      logits,
      how,
      (text, token) => drawn[text * length + token]!,
      at,
    );
    if (size < words) return `"${logits}" tells of ${size} words, and the table has ${words}`;
    if (at === 2 && !(await looksBack(session, logits, how, drawn, data, size)))
      return 'what it says of a token depends on later ones';
    for (let text = 0; text < texts; text++) {
      const from = (text * at + at - 1) * size;
      const row = data.subarray(from, from + words);
      const greedy = at < LIKELIEST[text % LIKELIEST.length]!;
      drawn[text * length + at] = greedy ? likeliest(row) : random.bySoftmax(row);
    }
  }
  return drawn;
}

/** The first tokens of each text. */
export function beginnings({ tokens, length }: Texts, most: number): Texts {
  if (length <= most) return { tokens, length };
  const texts = tokens.length / length;
  const cut = new Int32Array(texts * most);
  for (let text = 0; text < texts; text++)
    cut.set(tokens.subarray(text * length, text * length + most), text * most);
  return { tokens: cut, length: most };
}

/** Texts as samples of the model, each a feed. */
export function textsAsData(
  { tokens, length }: Texts,
  { ids, dtype }: SelfSampling,
  names: readonly string[],
): DataSet {
  const count = tokens.length / length;
  const tensor = tokensOf(Array.from(tokens), [count, length], dtype);
  return new StoredDataSet({
    source: 'texts drawn from the model itself',
    inputs: [{ name: ids, array: parseNpy(encodeNpy(tensor), 'texts'), dtype }],
    constants: following(names, 1, length),
    count,
    batch: 1,
    exact: false,
    stacked: false,
    metric: 'perplexity',
  });
}

const tokensOf = (numbers: readonly number[], shape: readonly number[], dtype: 'int32' | 'int64'): Tensor =>
  dtype === 'int32' ? Tensor.of('int32', shape, Int32Array.from(numbers)) : Tensor.ints(numbers, shape);

/** The mask and the positions of whole texts, for a model that has them. */
function following(names: readonly string[], texts: number, tokens: number): Record<string, Tensor> {
  const each = (make: (token: number) => number): Tensor =>
    Tensor.ints(
      Array.from({ length: texts * tokens }, (_, at) => make(at % tokens)),
      [texts, tokens],
    );
  return {
    ...(names.includes('attention_mask') && { attention_mask: each(() => 1) }),
    ...(names.includes('position_ids') && { position_ids: each((token) => token) }),
  };
}

function logitsOf(outputs: readonly Port[]): string | undefined {
  const fitting = outputs.filter(
    ({ type }) => type?.kind === 'tensor' && type.shape?.length === 3 && isFloat(type.dtype),
  );
  return (fitting.find(({ name }) => name === 'logits') ?? fitting[0])?.name;
}

/** One run over the first tokens of all texts: logits [texts, tokens, size]. */
async function ask(
  session: Session,
  logits: string,
  { ids, dtype, texts }: SelfSampling,
  token: (text: number, at: number) => number,
  tokens: number,
): Promise<{ readonly data: Float32Array; readonly size: number }> {
  const numbers = Array.from({ length: texts * tokens }, (_, at) =>
    token(Math.floor(at / tokens), at % tokens),
  );
  const names = session.inputs.map(({ name }) => name);
  const feeds = { ...following(names, texts, tokens), [ids]: tokensOf(numbers, [texts, tokens], dtype) };
  const answer = (await session.run(feeds, [logits]))[logits]!;
  return { data: answer.toFloat32(), size: answer.shape[2]! };
}

/** Whether the answers to first tokens stay when the second tokens are others, which tells decoders from encoders. */
async function looksBack(
  session: Session,
  logits: string,
  how: SelfSampling,
  drawn: Int32Array,
  before: Float32Array,
  size: number,
): Promise<boolean> {
  const { length, words } = how;
  const other = (text: number, at: number) => (drawn[text * length + at]! + at) % words;
  const { data } = await ask(session, logits, how, other, 2);
  for (let text = 0; text < how.texts; text++) {
    for (let word = 0; word < size; word++) {
      const at = text * 2 * size + word;
      if (Math.abs(data[at]! - before[at]!) > 1e-3 * (1 + Math.abs(before[at]!))) return false;
    }
  }
  return true;
}

/** `count` different numbers below `limit`. */
function distinct(limit: number, count: number, random: SeededRandom): number[] {
  const found = new Set<number>();
  while (found.size < count) found.add(random.integer(limit));
  return [...found];
}

function likeliest(row: Float32Array): number {
  let best = 0;
  for (let word = 1; word < row.length; word++) if (row[word]! > row[best]!) best = word;
  return best;
}
