/** Samples to train on, and those that are held out. */
import { openData } from '../calibration/data.js';
import type { DataSet } from '../calibration/dataset.js';
import { drawTexts, selfSamplingOf, textsAsData } from '../calibration/self-sampled.js';
import { QuantcError } from '../errors/error.js';
import type { Model } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';

type Feed = Readonly<Record<string, Tensor>>;

export interface FeedsToTrain {
  /** Whole batches, all of one shape. */
  readonly trained: readonly Feed[];
  readonly heldOut: readonly Feed[];
}

/** So many times the texts that rounding draws: training sees each of them more often than it should otherwise. */
const MORE_TEXTS = 4;

/**
 * The samples of a request: those given, else texts that a decoder draws from itself.
 * @throws QuantcError E_FINETUNE_DATA where none are given and the model cannot draw any; E_DATA_*
 */
export async function dataToTrain(
  { model: path, calib, batch }: { readonly model: string; readonly calib?: string; readonly batch: number },
  model: Model,
): Promise<DataSet> {
  if (calib !== undefined) return openData(calib, 'calib', model.graph.inputs, { batch });
  const weights = [...model.graph.initializers]
    .filter(({ constant }) => constant !== undefined && constant.shape.length >= 2)
    .reduce((sum, { constant }) => sum + constant!.count, 0);
  const how = selfSamplingOf(model, weights);
  if (typeof how === 'string') throw withoutData(path, how);
  if (model.graph.inputs.length > 1) throw withoutData(path, 'it has other inputs than tokens');
  const asked = { ...how, texts: Math.min(how.words, MORE_TEXTS * how.texts) };
  const drawn = await drawTexts(path, asked);
  if (typeof drawn === 'string') throw withoutData(path, drawn);
  return textsAsData(drawn, asked, [how.ids]);
}

const withoutData = (file: string, why: string): QuantcError =>
  new QuantcError(
    'E_FINETUNE_DATA',
    `no samples are given, and the model cannot draw texts from itself: ${why}`,
    {
      kind: 'usage',
      place: { file },
      hint: 'Give samples with --calib.',
    },
  );

/** One batch in so many is held out. */
const HELD_OUT = 8;

/**
 * The batches of a set, one in eight of them (and one at least) held out, evenly spread. What is left over at the end,
 * or of another shape than the first, is left out: a training graph has fixed sizes.
 * @throws QuantcError E_FINETUNE_DATA where fewer than two batches are whole
 */
export async function feedsToTrain(data: DataSet, batch: number): Promise<FeedsToTrain> {
  const feeds: Feed[] = [];
  let form: string | undefined;
  for await (const each of data.rebatched(batch).batches()) {
    const own = JSON.stringify(Object.entries(each.feeds).map(([name, { shape }]) => [name, shape]));
    form ??= own;
    if (own === form && each.padding === 0) feeds.push(each.feeds);
  }
  if (feeds.length < 2) {
    throw new QuantcError(
      'E_FINETUNE_DATA',
      `${data.count} samples are ${feeds.length} batch(es): two are needed`,
      {
        kind: 'usage',
        place: { file: data.source },
        hint: 'Give more samples, or a smaller --batch: one batch is held out to judge by.',
      },
    );
  }
  const isHeld = (at: number): boolean => at % HELD_OUT === Math.min(HELD_OUT, feeds.length) - 1;
  return { trained: feeds.filter((_, at) => !isHeld(at)), heldOut: feeds.filter((_, at) => isHeld(at)) };
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

/** The batch of a step: every epoch goes through all in an order of its own, which the seed decides. */
export function batchOf(feeds: readonly Feed[], seed: number, step: number): Feed {
  const epoch = Math.floor(step / feeds.length);
  let state = (seed * 7919 + epoch * 104729 + 1) >>> 0;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const order = feeds.map((_, at) => at);
  for (let at = order.length - 1; at > 0; at--) {
    const other = Math.floor(next() * (at + 1));
    [order[at], order[other]] = [order[other]!, order[at]!];
  }
  return feeds[order[step % feeds.length]!]!;
}
