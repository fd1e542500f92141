/** Whether two models answer the same, in ONNX Runtime with its optimizer off. */
import { QuantcError } from '../errors/error.js';
import { Model } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { withSession } from '../runtime/session.js';
import { parseModel } from '../text/parse.js';
import { type Closeness, differenceOf } from './closeness.js';
import { drawnFeeds, type FeedLaws } from './feeds.js';
import { DRAWS } from './run-pass.js';

/** What the models are fed with, and how alike they must be. */
export interface SameOutputsOptions extends Closeness, FeedLaws {
  /** Tensors by the names of inputs; default drawn, two sets of them. */
  readonly feeds?: Readonly<Record<string, Tensor>>;
  /** Tells one set of drawn inputs from another: with it, that set alone. */
  readonly seed?: number;
}

/** The first difference of outputs that is larger than allowed; `undefined` where there is none. */
export async function outputDifference(
  before: Model,
  after: Model,
  { feeds, seed, ...options }: SameOutputsOptions = {},
): Promise<string | undefined> {
  const run = (model: Model, given: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>> =>
    withSession(model, { optimization: 'off', threads: 1 }, (session) => session.run(given));
  const sets = feeds
    ? [feeds]
    : (seed === undefined ? DRAWS : [seed]).map((draw) => drawnFeeds(before, options, draw));
  for (const each of sets) {
    const difference = differenceOf(await run(before, each), await run(after, each), options);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

/**
 * Expects that a pass changed no result: both models give the same outputs, to 1e-5 where nothing else is said.
 * @param before the graph as text, or as a model
 * @throws QuantcError E_TEST_OUTPUTS naming the output and the first element that differs; errors of ONNX Runtime
 */
export async function expectSameOutputs(
  before: Model | string,
  after: Model | string,
  options: SameOutputsOptions = {},
): Promise<void> {
  const [a, b] = [before, after].map((each) => (each instanceof Model ? each : parseModel(each)));
  const difference = await outputDifference(a!, b!, options);
  if (difference === undefined) return;
  throw new QuantcError('E_TEST_OUTPUTS', `the outputs differ: ${difference}`, {
    hint: 'Where the pass means to round, allow for it with `tolerance`, or with `sqnr` in dB.',
  });
}
