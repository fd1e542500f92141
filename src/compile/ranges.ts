/** Ranges of activations: observed over the calibration data, or remembered from an earlier time. */
import { cpus } from 'node:os';
import { type CalibrateOptions, calibrate, histograms, movingAverages } from '../calibration/calibrate.js';
import type { DataSet } from '../calibration/dataset.js';
import { entropyRange } from '../calibration/entropy.js';
import type { Histogram } from '../calibration/histogram.js';
import { leastErrorRange, percentileRange } from '../calibration/range.js';
import { sketchOf } from '../calibration/sketch.js';
import { QuantcError } from '../errors/error.js';
import type { Model, Value } from '../ir/graph.js';
import type { Engine, Observation } from '../pipeline/pass.js';
import { runtimeVersion } from '../runtime/load.js';
import type { Range } from '../target/facts.js';
import { modelDigest } from '../text/model-digest.js';
import type { PluggedObserver } from './plugged.js';
import { type KeptHistogram, kept, pluggedRange } from './plugged-ranges.js';
import { type RangeMethod, rangeMethod } from './range-method.js';

export interface ObserveOptions extends CalibrateOptions {
  /** Keeps the answer; see `Engine.remember`. */
  readonly remember?: Engine['remember'];
  /** Told when the model is about to be run, which it is not when the answer is remembered. */
  readonly onRun?: () => void;
}

/**
 * Ranges of values over the data that there are. They depend on the model, the values, the samples and the method alone:
 * not on threads, on memory, or on how the data are cut into batches.
 * @throws QuantcError E_CALIBRATION_MISSING, E_CALIBRATION_VALUE, those of `calibrate` and of `rangeMethod`,
 * E_PLUGIN_FAILED
 */
export async function observeRanges(
  model: Model,
  values: readonly Value[],
  data: DataSet | undefined,
  { remember, onRun, ...options }: ObserveOptions,
  method: RangeMethod | PluggedObserver = 'auto',
): Promise<Map<Value, Observation>> {
  const plugged = typeof method === 'string' ? undefined : method;
  // Of a plugin's way what was counted is kept, and what it makes of that is asked every time: its code may change.
  const { name, parameter } =
    typeof method === 'string' ? rangeMethod(method) : { name: 'counts' as const, parameter: Number.NaN };
  if (data === undefined) {
    throw new QuantcError('E_CALIBRATION_MISSING', 'static int8 needs calibration data', {
      kind: 'usage',
      hint: 'Give data with --calib, or choose --precision int8-dynamic.',
    });
  }
  const compute = async (): Promise<Observation[]> => {
    onRun?.();
    if (name === 'counts') return counted();
    const found = await observations(model, values, data, { ...options, onSkip: refuse }, name, parameter);
    return values.map((value) => found.get(value)!);
  };
  const counted = async (): Promise<KeptHistogram[]> => {
    const found = await histograms(model, values, data, { ...options, onSkip: refuse });
    return values.map((value) => kept(found.get(value)!));
  };
  const key = async () => [
    modelDigest(model),
    values.map((value) => value.name),
    data.digest(),
    // More than one only where the model leaves no choice.
    data.rebatched(1).batch,
    name,
    parameter,
    // Other kernels, other last bits.
    await runtimeVersion(),
    process.arch,
    cpus()[0]?.model,
  ];
  const answer = remember ? await remember('calibration', await key(), compute) : await compute();
  return new Map(
    values.map((value, i) => [
      value,
      plugged ? chosen(plugged, value, answer[i] as KeptHistogram) : answer[i]!,
    ]),
  );
}

/** What a plugin's observer chooses, as ranges are kept. */
const chosen = (observer: PluggedObserver, value: Value, seen: KeptHistogram): Observation => ({
  ...snapped(pluggedRange(observer, value.name, seen)),
  sketch: seen.sketch,
});

const refuse = (value: Value, reason: string): never => {
  throw new QuantcError('E_CALIBRATION_VALUE', `a value to quantize cannot be observed: ${reason}`, {
    place: { value: value.name },
  });
};

async function observations(
  model: Model,
  values: readonly Value[],
  data: DataSet,
  options: CalibrateOptions,
  method: ReturnType<typeof rangeMethod>['name'],
  parameter: number,
): Promise<Map<Value, Observation>> {
  switch (method) {
    case 'minmax':
      return mapped(await calibrate(model, values, data, options), snapped);
    case 'moving-average':
      return mapped(await movingAverages(model, values, data, parameter, options), snapped);
    default:
      return mapped(await histograms(model, values, data, options), (histogram) => ({
        ...fromHistogram(histogram, method, parameter),
        sketch: sketchOf(histogram),
      }));
  }
}

const mapped = <T>(found: ReadonlyMap<Value, T>, make: (found: T) => Observation): Map<Value, Observation> =>
  new Map([...found].map(([value, each]) => [value, make(each)]));

/** The grid that ranges by entropy and by error are for: activations are unsigned 8-bit integers. */
const GRID = { steps: 255, symmetric: false };
/** Share of the elements that `auto` keeps inside at first, in percent. */
const PERCENTILE = 99.99;

function fromHistogram(
  histogram: Histogram,
  method: 'percentile' | 'entropy' | 'mse' | 'auto',
  parameter: number,
): Observation {
  switch (method) {
    case 'percentile':
      return snapped(percentileRange(histogram, parameter));
    case 'entropy':
      return snapped(entropyRange(histogram, GRID));
    case 'mse':
      return snapped(leastErrorRange(histogram, GRID, parameter));
    case 'auto': {
      const minmax = snapped(histogram);
      return {
        ...minmax,
        alternatives: { percentile: snapped(percentileRange(histogram, PERCENTILE)), minmax },
      };
    }
  }
}

/** Significant bits that a range keeps. */
const RANGE_BITS = 16;

/**
 * The range, each end moved outwards to the next number of few bits. Processors differ in the last bits of a float
 * model's values; the ranges taken from them, and so the bytes of the file, should not.
 */
const snapped = ({ min, max }: Range): Range => ({ min: outwards(min), max: outwards(max) });

function outwards(x: number): number {
  if (x === 0 || !Number.isFinite(x)) return x;
  const step = 2 ** (Math.floor(Math.log2(Math.abs(x))) - RANGE_BITS + 1);
  return Math.sign(x) * Math.ceil(Math.abs(x) / step) * step;
}
