/** Ranges and histograms of a float model's values over calibration data. */
import { QuantcError } from '../errors/error.js';
import { isFloat } from '../ir/dtype.js';
import type { Model, Value } from '../ir/graph.js';
import type { Range } from '../target/facts.js';
import type { DataSet } from './dataset.js';
import type { Histogram, HistogramObserver } from './histogram.js';
import { guessedBytes, withJob } from './lane-job.js';
import { runLanes } from './lanes.js';
import { MovingAverage, nothingSeen } from './observer.js';
import type { Stage } from './stages.js';

export interface CalibrateOptions {
  /** Bytes of activations that may be held at once; more values mean that the model runs in stages. Default 256 MiB. */
  readonly maxMemory?: number;
  /** Threads that run samples, one each; default one a core. They do not change the result. */
  readonly threads?: number;
  /** Milliseconds of work left from which on further threads are started. Default 1500. */
  readonly worthThreads?: number;
  readonly signal?: AbortSignal;
  /** Told after every feed; a share of 1 is the end. */
  readonly onProgress?: (share: number) => void;
  /** Told of each value that cannot be observed, and why; it is absent from the answer. */
  readonly onSkip?: (value: Value, reason: string) => void;
  /** Told when the values of one run take more than `maxMemory`, and the model cannot be cut so that they do not. */
  readonly onExceeded?: (bytes: number) => void;
}

const USUAL_MEMORY = 256 * 2 ** 20;

/**
 * Smallest and largest element of each value over the data. The model runs unoptimized in ONNX Runtime, sample by
 * sample, a thread a run: the answer depends on the samples alone, not on how the data were cut into batches, and not on
 * threads, to the last bit.
 * @param values of the main graph; those of subgraphs and those that are no float tensors are skipped with a reason
 * @throws QuantcError E_CALIBRATION_NAN where a value is NaN or infinite, E_CALIBRATION_EMPTY where it never has an
 * element, E_CALIBRATION_ABORTED; errors of the data and of the session
 */
export async function calibrate(
  model: Model,
  values: readonly Value[],
  data: DataSet,
  options: CalibrateOptions = {},
): Promise<Map<Value, Range>> {
  const seen = new Map<Value, Range>();
  await observe(model, values, data, options, false, (value, range) => {
    const before = seen.get(value) ?? range;
    seen.set(value, { min: Math.min(before.min, range.min), max: Math.max(before.max, range.max) });
  });
  return seen;
}

/**
 * The moving average of each value's extremes in one run after the other; see {@link MovingAverage}. Where data and
 * model leave the batch open, a run is a sample. Options, skipped values and errors are those of {@link calibrate}.
 */
export async function movingAverages(
  model: Model,
  values: readonly Value[],
  data: DataSet,
  constant: number,
  options: CalibrateOptions = {},
): Promise<Map<Value, Range>> {
  const averages = new Map<Value, MovingAverage>();
  await observe(model, values, data, options, false, (value, range) => {
    const average = averages.get(value) ?? new MovingAverage(constant);
    averages.set(value, average);
    average.add(range);
  });
  return new Map([...averages].map(([value, average]) => [value, average.average()!]));
}

/**
 * Histograms of each value over the data, for ranges that leave something out (percentiles, least error). Nothing but
 * the histograms is kept from feed to feed. Options, skipped values and errors are those of {@link calibrate}.
 */
export async function histograms(
  model: Model,
  values: readonly Value[],
  data: DataSet,
  options: CalibrateOptions = {},
): Promise<Map<Value, Histogram>> {
  const counted = await observe(model, values, data, options, true, () => {});
  return new Map([...counted].map(([value, observer]) => [value, observer.histogram()]));
}

/** Runs everything, and shows each value's extremes in each run, in order. */
async function observe(
  model: Model,
  values: readonly Value[],
  data: DataSet,
  options: CalibrateOptions,
  counting: boolean,
  see: (value: Value, range: Range) => void,
): Promise<Map<Value, HistogramObserver>> {
  const wanted = [...new Set(values)].filter((value) => {
    const reason = whyNot(value, model);
    if (reason !== undefined) options.onSkip?.(value, reason);
    return reason === undefined;
  });
  // One sample a run, whatever the data say: a batch's size shows in the last bits of what some kernels compute.
  const cut = data.rebatched(1);
  const memory = options.maxMemory ?? USUAL_MEMORY;
  const total = Math.ceil(data.count / cut.batch);
  const empty = new Set(wanted);
  const onSample = (extremes: Float64Array): void => {
    wanted.forEach((value, i) => {
      const [min, max] = [extremes[2 * i]!, extremes[2 * i + 1]!];
      if (min > max) return;
      empty.delete(value);
      see(value, { min, max });
    });
  };
  const onDone = (samples: number): void => options.onProgress?.(Math.min(1, samples / total));
  let measured: ReadonlyMap<Value, number> | undefined;
  const attempt = (bytesOf: (value: Value) => number) =>
    withJob(model, wanted, counting, memory, bytesOf, ({ job, stages, weights }) =>
      runLanes(job, cut, {
        ...options,
        memory,
        weights,
        onSample,
        onDone,
        check: () => throwIfAborted(options.signal),
        measured(bytes) {
          const first = measured === undefined;
          measured = new Map(wanted.map((value, i) => [value, bytes[i]!]));
          const largest = Math.max(0, ...stages.map((stage) => bytesOfStage(stage, measured!)));
          if (largest <= memory) return false;
          const divisible = stages.some(
            (stage) => stage.outputs.size > 1 && bytesOfStage(stage, measured!) > memory,
          );
          if (first && divisible) return true;
          options.onExceeded?.(largest);
          return false;
        },
      }),
    );
  let observers = await attempt(guessedBytes);
  // Sizes that only the data tell were guessed, and the first sample showed that they are larger.
  observers ??= await attempt((value) => measured?.get(value) ?? guessedBytes(value));
  for (const value of empty) throw nothingSeen(value.name);
  return new Map(wanted.map((value, i) => [value, observers![i]!]));
}

/** What a stage gives out in one run. */
function bytesOfStage({ outputs }: Stage, sizes: ReadonlyMap<Value, number>): number {
  return [...outputs.keys()].reduce((sum, value) => sum + (sizes.get(value) ?? guessedBytes(value)), 0);
}

function whyNot(value: Value, model: Model): string | undefined {
  if (value.graph !== model.graph) return 'inside a subgraph or function, which calibration cannot see into';
  if (value.isConstant) return 'it is a constant';
  if (value.type === undefined) return 'its type is unknown';
  if (value.type.kind !== 'tensor') return `it is a ${value.type.kind}, not a tensor`;
  const { dtype } = value.type;
  if (dtype === 'float' || dtype === 'double' || dtype === 'float16') return undefined;
  return isFloat(dtype) ? `ONNX Runtime gives no ${dtype} out` : `its elements are ${dtype}, not floats`;
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted)
    throw new QuantcError('E_CALIBRATION_ABORTED', 'calibration was stopped', { kind: 'usage' });
}
