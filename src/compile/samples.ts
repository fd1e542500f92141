/** What a model is run on while it is compiled: the data given, else random feeds. */
import { type CalibrateOptions, calibrate, histograms } from '../calibration/calibrate.js';
import type { DataSet } from '../calibration/dataset.js';
import { evaluate } from '../calibration/evaluate.js';
import { leastErrorRange, percentileRange } from '../calibration/range.js';
import { syntheticData } from '../calibration/synthetic.js';
import { QuantcError } from '../errors/error.js';
import type { Model, Value } from '../ir/graph.js';
import type { Ledger } from '../pipeline/ledger.js';
import type { Observation } from '../pipeline/pass.js';
import { withSession } from '../runtime/session.js';
import type { Range } from '../target/facts.js';

/**
 * How the ranges of quantized activations are chosen from what calibration saw.
 * - `minmax`: all of it. - `percentile`: all but 0.01 % of the elements.
 * - `mse`: the range whose 8-bit grid loses least, clipping included.
 * - `auto`: `percentile`, unless the model answers clearly more like the float one with `minmax`.
 */
export const RANGE_METHODS = ['auto', 'minmax', 'percentile', 'mse'] as const;
export type RangeMethod = (typeof RANGE_METHODS)[number];

/** @throws QuantcError E_RANGES_UNKNOWN listing those there are. */
export function parseRangeMethod(name: string): RangeMethod {
  if ((RANGE_METHODS as readonly string[]).includes(name)) return name as RangeMethod;
  throw new QuantcError('E_RANGES_UNKNOWN', `there is no way "${name}" to choose ranges`, {
    kind: 'usage',
    hint: `Ways: ${RANGE_METHODS.join(', ')}.`,
  });
}

/** Samples on which ranges are judged: enough to tell 2 dB apart, few enough to run several times. */
const JUDGED = 32;

/** How alike two models answer on the first samples. */
export async function likeness(
  reference: Model,
  candidate: Model,
  data: DataSet,
  threads: number | undefined,
): Promise<number> {
  return withSession(reference, { threads }, (theirs) =>
    withSession(candidate, { threads }, async (ours) => {
      const { value } = await evaluate(ours, data.first(JUDGED), { metric: 'sqnr', reference: theirs });
      return value;
    }),
  );
}

/**
 * Random feeds, where there are no data: they run the model for the proof. Static ranges from them are a guess, and
 * the ledger says so.
 * @param ranges whether activation ranges will be taken from them.
 * @returns undefined when none can be drawn and none are needed for ranges.
 */
export function randomSamples(model: Model, ranges: boolean, ledger: Ledger): DataSet | undefined {
  try {
    const samples = syntheticData(model.graph.inputs);
    if (ranges) {
      ledger.note(
        'warning',
        'W_CALIBRATION_SYNTHETIC',
        'no calibration data: activation ranges come from random feeds, so accuracy is not to be trusted',
      );
    }
    return samples;
  } catch (error) {
    if (!(error instanceof QuantcError) || error.code !== 'E_DATA_SYNTHETIC' || ranges) throw error;
    ledger.note('warning', 'W_PROOF_FEEDS', `no data and none can be drawn: ${error.message}`);
    return undefined;
  }
}

/**
 * Ranges of values over the data that there are.
 * @throws QuantcError E_CALIBRATION_MISSING, E_CALIBRATION_VALUE, and those of `calibrate`
 */
export async function observeRanges(
  model: Model,
  values: readonly Value[],
  data: DataSet | undefined,
  options: CalibrateOptions,
  method: RangeMethod = 'auto',
): Promise<Map<Value, Observation>> {
  if (data === undefined) {
    throw new QuantcError('E_CALIBRATION_MISSING', 'static int8 needs calibration data', {
      kind: 'usage',
      hint: 'Give data with --calib, or choose --precision int8-dynamic.',
    });
  }
  const whole: CalibrateOptions = {
    ...options,
    onSkip: (value, reason) => {
      throw new QuantcError('E_CALIBRATION_VALUE', `a value to quantize cannot be observed: ${reason}`, {
        place: { value: value.name },
      });
    },
  };
  if (method === 'minmax') {
    const ranges = await calibrate(model, values, data, whole);
    return new Map([...ranges].map(([value, range]) => [value, snapped(range)]));
  }
  const observations = new Map<Value, Observation>();
  for (const [value, histogram] of await histograms(model, values, data, whole)) {
    const { min, max } = snapped(histogram);
    const percentile = snapped(percentileRange(histogram, PERCENTILE));
    if (method === 'mse')
      observations.set(value, snapped(leastErrorRange(histogram, { steps: 255, symmetric: false })));
    else if (method === 'percentile') observations.set(value, percentile);
    else observations.set(value, { min, max, alternatives: { percentile, minmax: { min, max } } });
  }
  return observations;
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

/** Share of the elements that `percentile` keeps inside, in percent. */
const PERCENTILE = 99.99;

/** The same samples, given out until the signal says stop. @throws QuantcError E_ABORTED then */
export function stoppable(data: DataSet, signal: AbortSignal | undefined): DataSet {
  if (signal === undefined) return data;
  const batches = async function* () {
    for await (const batch of data.batches()) {
      stopIfAborted(signal);
      yield batch;
    }
  };
  return {
    source: data.source,
    synthetic: data.synthetic,
    count: data.count,
    batch: data.batch,
    ...(data.metric && { metric: data.metric }),
    ...(data.labels && { labels: data.labels }),
    batches,
    async *[Symbol.asyncIterator]() {
      for await (const { feeds } of batches()) yield feeds;
    },
    first: (count) => stoppable(data.first(count), signal),
    rebatched: (size) => stoppable(data.rebatched(size), signal),
    digest: () => data.digest(),
  };
}

/** @throws QuantcError E_ABORTED when the signal says stop */
export function stopIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new QuantcError('E_ABORTED', 'the compilation was stopped', { kind: 'usage' });
}
