/** Texts that a decoder draws from itself, where its weights shall be rounded together and no data were given. */
import type { DataSet } from '../calibration/dataset.js';
import { beginnings, drawTexts, selfSamplingOf, textsAsData } from '../calibration/self-sampled.js';
import type { Model } from '../ir/graph.js';
import type { Ledger } from '../pipeline/ledger.js';
import type { Precision } from '../recipe.js';
import { modelDigest } from '../text/model-digest.js';
import type { CompileRequest } from './request.js';
import type { WeightWay } from './weight-request.js';

/** Answers kept from one compilation to the next; see `cache.ts`. */
export type Remember = <T>(kind: string, key: readonly unknown[], compute: () => Promise<T>) => Promise<T>;

/** Precisions that lose enough by rounding each weight to the nearest. */
const COARSE: readonly Precision[] = ['int4', 'int2', 'auto-weights'];
/** Ways that look at samples. */
const SEEING: readonly WeightWay[] = ['gptq', 'gptq-sequential', 'adaround', 'awq'];
/** More weights are not rounded together anyway. */
const MOST_WEIGHTS = 2 ** 27;

/** Tokens of a text that a proof runs: software adapters take a second for a few dozen. */
const PROVEN = 16;

export interface OwnTexts {
  readonly whole: DataSet;
  /** The first few tokens of each, for the proof. */
  readonly beginnings: DataSet;
}

/**
 * @returns undefined where texts would be of no use, or the model cannot be asked for any: a ledger note says which
 */
export async function ownTexts(
  { calib, weightMethod, model: file }: CompileRequest,
  precision: Precision,
  model: Model,
  ledger: Ledger,
  remember: Remember,
): Promise<OwnTexts | undefined> {
  const asked = weightMethod !== undefined && SEEING.includes(weightMethod);
  const wanted =
    asked || precision === 'auto-weights' || (weightMethod === undefined && COARSE.includes(precision));
  if (calib !== undefined || !wanted) return undefined;
  const weights = weightsOf(model);
  if (weights === 0 || weights > MOST_WEIGHTS) return undefined;
  const how = selfSamplingOf(model, weights);
  if (typeof how === 'string') {
    if (asked) ledger.note('info', 'own-texts', `the model cannot draw texts from itself: ${how}`);
    return undefined;
  }
  const drawn = await remember('own-texts', [modelDigest(model), { ...how }], () => drawTexts(file, how));
  if (typeof drawn === 'string') {
    ledger.note('info', 'own-texts', `the model cannot draw texts from itself: ${drawn}`);
    return undefined;
  }
  const message = `no calibration data: weights are rounded over ${how.texts} texts of ${drawn.length} tokens that the model drew from itself`;
  ledger.note('info', 'own-texts', message);
  const names = model.graph.inputs.map(({ name }) => name);
  return {
    whole: textsAsData(drawn, how, names),
    beginnings: textsAsData(beginnings(drawn, PROVEN), how, names),
  };
}

/** Elements of the constants that a token may be multiplied with: all matrices. */
function weightsOf(model: Model): number {
  let count = 0;
  for (const graph of model.graphs()) {
    for (const { constant } of graph.initializers)
      if (constant && constant.shape.length >= 2) count += constant.count;
  }
  return count;
}
