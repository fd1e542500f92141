/** Samples to train on, and those that are held out. */
import { openData } from '../../calibration/data.js';
import type { DataSet } from '../../calibration/dataset.js';
import { SeededRandom } from '../../calibration/random.js';
import { drawTexts, selfSamplingOf, textsAsData } from '../../calibration/self-sampled.js';
import { QuantcError } from '../../errors/error.js';
import { isInteger } from '../../ir/dtype.js';
import type { Model } from '../../ir/graph.js';
import { Tensor } from '../../ir/tensor.js';
import { drawContinuations } from './draw-texts.js';

export type Feed = Readonly<Record<string, Tensor>>;

/** Batches of samples, all of one shape. */
export interface FeedsToTrain {
  /** Samples that are trained on, and batches of them an epoch. */
  readonly samples: number;
  readonly batches: number;
  /**
   * The batch of a step, read as it is asked for: every epoch goes through all samples in an order of its own, which
   * the seed decides.
   */
  batchOf(seed: number, step: number): Promise<Feed>;
  /** Whole batches that are not trained on. */
  readonly heldOut: readonly Feed[];
  readonly heldOutSamples: number;
  /** What is trained on, for methods that look at samples one after the other. */
  readonly trained: DataSet;
}

export interface DataToTrain {
  readonly model: string;
  readonly calib?: string;
  readonly batch: number;
  /** How many texts a decoder draws from itself, beside those of `calib`. */
  readonly ownTexts?: number;
}

/** So many times the texts that rounding draws: training sees each of them more often than it should otherwise. */
const MORE_TEXTS = 4;

/**
 * The sets of a request: samples that are given, and texts that a decoder draws from itself, where those are wanted or
 * nothing is given.
 * @throws QuantcError E_FINETUNE_DATA where the model cannot draw any; E_DATA_*
 */
export async function dataToTrain(
  { model: path, calib, batch, ownTexts }: DataToTrain,
  model: Model,
): Promise<DataSet[]> {
  const given =
    calib === undefined ? undefined : await openData(calib, 'calib', model.graph.inputs, { batch });
  if (given !== undefined && !ownTexts) return [given];
  const refuse = (why: string): QuantcError => cannotDraw(path, why, given !== undefined);
  const weights = [...model.graph.initializers]
    .filter(({ constant }) => constant !== undefined && constant.shape.length >= 2)
    .reduce((sum, { constant }) => sum + constant!.count, 0);
  const how = selfSamplingOf(model, weights);
  if (typeof how === 'string') throw refuse(how);
  if (model.graph.inputs.length > 1) throw refuse('it has other inputs than tokens');
  if (ownTexts) {
    const beginnings = given && (await firstTokens(given));
    const asked = { ...how, texts: ownTexts, ...(beginnings && { length: beginnings.length }) };
    const drawn = await drawContinuations(path, asked, beginnings?.tokens);
    if (typeof drawn === 'string') throw refuse(drawn);
    const texts = textsAsData(drawn, asked, [how.ids]).rebatched(batch);
    return given ? [given, texts] : [texts];
  }
  const asked = { ...how, texts: Math.min(how.words, MORE_TEXTS * how.texts) };
  const drawn = await drawTexts(path, asked);
  if (typeof drawn === 'string') throw refuse(drawn);
  return [textsAsData(drawn, asked, [how.ids])];
}

const cannotDraw = (file: string, why: string, given: boolean): QuantcError =>
  new QuantcError(
    'E_FINETUNE_DATA',
    given
      ? `the model cannot draw texts from itself: ${why}`
      : `no samples are given, and the model cannot draw texts from itself: ${why}`,
    {
      kind: 'usage',
      place: { file },
      hint: given ? 'Leave --own-texts out.' : 'Give samples with --calib.',
    },
  );

/** The first token of each sample, and how long samples are: texts begin and end alike. */
async function firstTokens(data: DataSet): Promise<{ tokens: number[]; length: number }> {
  const tokens: number[] = [];
  let length = 0;
  for await (const feed of data) {
    const [ids] = Object.values(feed) as [Tensor];
    length = ids.shape.at(-1)!;
    const numbers = ids.toNumbers();
    for (let at = 0; at < numbers.length; at += length) tokens.push(numbers[at]!);
  }
  return { tokens, length };
}

/** One batch in so many is held out, and of texts that a decoder drew no more than this. */
const HELD_OUT = 8;
const MOST_OWN_HELD_OUT = 4;

/** Where a sample lies: in which set, and its number there. */
type Place = readonly [set: number, sample: number];

/**
 * The samples of some sets, one batch in eight of them (and one at least) held out, evenly spread. What is left over at
 * the end, or of another shape than the first, is left out: a training graph has fixed sizes.
 * @throws QuantcError E_FINETUNE_DATA where fewer than two batches are whole
 */
export async function feedsToTrain(
  sets: readonly DataSet[],
  batch: number,
  labelled = false,
): Promise<FeedsToTrain> {
  const cut = sets.map((set) => set.rebatched(batch));
  const picked = cut.every((set) => set.picked !== undefined && set.batch === batch);
  const found = picked ? await samplesToTrain(cut, batch, labelled) : await wholeFeedsToTrain(cut[0]!);
  if (!labelled) return found;
  const complete = (feed: Feed): Feed =>
    'labels' in feed ? feed : { ...feed, labels: nextTokens(feed, cut[0]!) };
  return {
    ...found,
    heldOut: found.heldOut.map(complete),
    batchOf: async (seed, step) => complete(await found.batchOf(seed, step)),
  };
}

/**
 * The token behind each, and none behind the last.
 * @throws QuantcError E_FINETUNE_LABELS for samples that are no tokens
 */
function nextTokens(feed: Feed, { source }: DataSet): Tensor {
  const ids = Object.values(feed).find(({ dtype, shape }) => isInteger(dtype) && shape.length === 2);
  if (ids === undefined) {
    throw new QuantcError('E_FINETUNE_LABELS', 'the samples have no labels, and are no tokens either', {
      kind: 'usage',
      place: { file: source },
      hint: 'Say what the labels are in the data, or train without them.',
    });
  }
  const length = ids.shape[1]!;
  const tokens = ids.toNumbers();
  const next = tokens.map((_, at) => ((at + 1) % length === 0 ? -1 : tokens[at + 1]!));
  return Tensor.ints(next, ids.shape);
}

const tooFew = ({ count, source }: DataSet, batches: number): QuantcError =>
  new QuantcError('E_FINETUNE_DATA', `${count} samples are ${batches} batch(es): two are needed`, {
    kind: 'usage',
    place: { file: source },
    hint: 'Give more samples, or a smaller --batch: one batch is held out to judge by.',
  });

async function samplesToTrain(
  sets: readonly DataSet[],
  batch: number,
  labelled: boolean,
): Promise<FeedsToTrain> {
  const trained: Place[] = [];
  const held: Place[][] = [];
  sets.forEach((set, at) => {
    const whole = Math.floor(set.count / batch);
    const isHeld = heldAmong(whole, at > 0 ? MOST_OWN_HELD_OUT : whole);
    for (let each = 0; each < whole; each++) {
      const places = Array.from({ length: batch }, (_, sample): Place => [at, each * batch + sample]);
      if (isHeld(each)) held.push(places);
      else trained.push(...places);
    }
  });
  const batches = Math.floor(trained.length / batch);
  if (batches < 1 || held.length < 1) throw tooFew(sets[0]!, batches + held.length);
  const read = (places: readonly Place[]): Promise<Feed> => feedOf(sets, places, labelled);
  const own = trained.filter(([set]) => set === 0).map(([, sample]) => sample);
  const heldOut: Feed[] = [];
  for (const places of held) heldOut.push(await read(places));
  return {
    samples: trained.length,
    batches,
    heldOut,
    heldOutSamples: held.length * batch,
    trained: sets[0]!.picked!(own),
    batchOf(seed, step) {
      const order = orderOf(trained.length, seed, Math.floor(step / batches));
      const first = (step % batches) * batch;
      return read(order.slice(first, first + batch).map((at) => trained[at]!));
    },
  };
}

/** Which batches are held out: one in eight, the last of them where there are fewer, and no more than so many. */
function heldAmong(batches: number, most: number): (batch: number) => boolean {
  const every = Math.min(HELD_OUT, batches);
  return (batch) => batch % every === every - 1 && Math.floor(batch / every) < most;
}

/** The samples of a batch from wherever they lie, one after the other. */
async function feedOf(sets: readonly DataSet[], places: readonly Place[], labelled: boolean): Promise<Feed> {
  const parts: Feed[] = [];
  for (const [at, set] of sets.entries()) {
    const numbers = places.filter(([own]) => own === at).map(([, sample]) => sample);
    if (numbers.length === 0) continue;
    const own = set.picked!(numbers).rebatched(numbers.length);
    const labels = labelled && own.labels && Tensor.ints([...own.labels]);
    for await (const feed of own) parts.push(labels ? { ...feed, labels } : feed);
  }
  return parts.length === 1 ? parts[0]! : joined(parts);
}

/** Feeds with the same inputs, joined along the samples. */
function joined(feeds: readonly Feed[]): Feed {
  return Object.fromEntries(
    Object.entries(feeds[0]!).map(([name, { dtype, shape }]) => {
      const parts = feeds.map((feed) => feed[name]!);
      const samples = parts.reduce((sum, part) => sum + part.shape[0]!, 0);
      const bytes = Buffer.concat(parts.map((part) => part.bytes()));
      return [name, Tensor.of(dtype, [samples, ...shape.slice(1)], new Uint8Array(bytes))];
    }),
  );
}

/** Sets whose feeds cannot be cut: they are trained on whole, and kept. */
async function wholeFeedsToTrain(data: DataSet): Promise<FeedsToTrain> {
  const feeds: Feed[] = [];
  let form: string | undefined;
  for await (const each of data.batches()) {
    const own = JSON.stringify(Object.entries(each.feeds).map(([name, { shape }]) => [name, shape]));
    form ??= own;
    if (own === form && each.padding === 0) feeds.push(each.feeds);
  }
  if (feeds.length < 2) throw tooFew(data, feeds.length);
  const isHeld = heldAmong(feeds.length, feeds.length);
  const trained = feeds.filter((_, at) => !isHeld(at));
  const heldOut = feeds.filter((_, at) => isHeld(at));
  return {
    samples: trained.length * data.batch,
    batches: trained.length,
    heldOut,
    heldOutSamples: heldOut.length * data.batch,
    trained: data,
    async batchOf(seed, step) {
      const order = orderOf(trained.length, seed, Math.floor(step / trained.length));
      return trained[order[step % trained.length]!]!;
    },
  };
}

/** The numbers that a feed gives to the named sizes of the inputs. */
export function sizesOf(model: Model, feed: Feed): Record<string, number> {
  const sizes: Record<string, number> = {};
  for (const { name, shape } of model.graph.inputs) {
    const given = feed[name]?.shape;
    shape?.forEach((dim, axis) => {
      if (typeof dim === 'string' && given !== undefined) sizes[dim] = given[axis]!;
    });
  }
  return sizes;
}

/** The order of an epoch. */
export function orderOf(count: number, seed: number, epoch: number): number[] {
  const random = new SeededRandom(seed * 7919 + epoch * 104_729 + 1);
  const order = Array.from({ length: count }, (_, at) => at);
  for (let at = order.length - 1; at > 0; at--) {
    const other = random.integer(at + 1);
    [order[at], order[other]] = [order[other]!, order[at]!];
  }
  return order;
}
