import { openData, type Split } from '../calibration/data.js';
import { type DataSet, sameSamples } from '../calibration/dataset.js';
import type { Model } from '../ir/graph.js';
import type { Ledger } from '../pipeline/ledger.js';
import { precisionFor, staticPrecisionFor } from '../recipe.js';
import type { GivenGrid, GivenGrids } from '../target/given-grids.js';
import { isProfile } from '../target/profiled.js';
import type { Target } from '../target/target.js';
import { type FixedDim, withDims } from './dims.js';
import { checkFixed } from './fixed-inputs.js';
import { givenGrids } from './given-grids.js';
import { halfOf } from './halves.js';
import { ownTexts, type Remember } from './own-texts.js';
import { asksForDeflated } from './prune-request.js';
import type { CompileRequest } from './request.js';
import { oneByOne, randomSamples } from './samples.js';
import { asksForBlocks } from './weight-request.js';

/** What was opened for a request: targets, and the mixes of a budget, are compiled one after the other on the same data. */
const opened = new WeakMap<CompileRequest, Map<string, DataSet>>();

async function openOnce(
  request: CompileRequest,
  path: string,
  split: Split,
  model: Model,
  fixed: readonly FixedDim[],
  onProgress: (share: number) => void,
): Promise<DataSet> {
  const known = opened.get(request) ?? new Map<string, DataSet>();
  opened.set(request, known);
  const key = JSON.stringify([split, path, fixed]);
  const data = known.get(key) ?? (await opening());
  known.set(key, data);
  return data;

  async function opening(): Promise<DataSet> {
    try {
      const options = { onProgress, batchOfModel: fixed.length > 0 };
      const data = await openData(path, split, model.graph.inputs, options);
      await checkFixed(model, data);
      return data;
    } catch (error) {
      throw withDims(error, fixed);
    }
  }
}

/**
 * The data of a request, and what they make of `auto`. Ranges never come from data that are for evaluation.
 * @param fixed dimensions of the model's inputs that became numbers
 */
export async function dataFor(
  request: CompileRequest,
  target: Target,
  model: Model,
  ledger: Ledger,
  onProgress: (share: number) => void,
  remember: Remember,
  fixed: readonly FixedDim[] = [],
) {
  const open = async (path: string | undefined, split: Split) =>
    path === undefined ? undefined : openOnce(request, path, split, model, fixed, onProgress);
  const calib = await open(request.calib, 'calib');
  const evaluation = await open(request.eval, 'eval');
  if (splits(request) && target.executor === undefined && evaluation && evaluation.count > 1) {
    const [seen, unseen] = [halfOf(evaluation, 0), halfOf(evaluation, 1)];
    ledger.note(
      'warning',
      'W_EVAL_SPLIT',
      `without --calib, ${seen.count} samples of --eval gave the ranges and chose the mix; the score is that of the other ${unseen.count}`,
    );
    const precision = target.whole ? staticPrecisionFor(target, model) : 'int8';
    return { precision, ranges: seen, samples: seen, evaluation: unseen, given: undefined };
  }
  if (calib && evaluation && calib.source === evaluation.source && sameSamples(calib, evaluation)) {
    ledger.note('warning', 'W_EVAL_SEEN', 'the score is taken on the very samples that calibration sees');
  }
  // What was trained on grids brings its ranges along.
  const given = givenGrids(request.model, model);
  const trained = given !== undefined && given.activations.size > 0;
  const { precision, because } = precisionFor(request.precision ?? 'auto', target, model, {
    calibrated: trained || calib !== undefined,
    trained: trainedFor(given),
    mixes: mixes(request),
    blocks: asksForBlocks(request),
    kvCache: request.kvCache,
  });
  tellAuto(ledger, precision, because);
  // What is quantized without ranges is rounded by samples all the same, where there are some.
  const rounds = precision !== 'float' || asksForDeflated(request);
  const own = await ownTexts(request, precision, model, ledger, remember);
  const taken = calib && rounds ? await oneByOne(calib, model) : own?.whole;
  const isStatic = precision === 'int8' || isProfile(precision);
  const ranges = isStatic && !trained ? (taken ?? randomSamples(model, true, ledger)) : taken;
  const samples = calib ?? evaluation ?? own?.beginnings ?? ranges ?? randomSamples(model, false, ledger);
  return { precision, ranges, samples, evaluation, given };
}

/** A line of the report on what `auto` came to, and why. */
export function tellAuto(ledger: Ledger, precision: string, because: string | undefined): void {
  if (because !== undefined) ledger.note('info', 'auto', `auto is ${precision}, because ${because}`);
}

/** What of a model was trained on grids that lie beside it. */
export function trainedFor(given: GivenGrids | undefined): 'weights' | 'activations' | undefined {
  if (given === undefined) return undefined;
  if (given.activations.size > 0) return 'activations';
  const few = ({ low, high }: GivenGrid): boolean => high - low < 16;
  return [...given.weights.values()].some(few) ? 'weights' : undefined;
}

/** What only static integers have was asked for. */
const mixes = ({ budget = [], algorithms, ranges }: CompileRequest): boolean =>
  budget.length > 0 || algorithms !== undefined || ranges !== undefined;

/** A budget needs samples to search on: where there are none but those for the score, they are shared out. */
const splits = ({ budget, calib, precision }: CompileRequest): boolean =>
  budget !== undefined &&
  calib === undefined &&
  (precision === undefined || precision === 'auto' || precision === 'int8');
