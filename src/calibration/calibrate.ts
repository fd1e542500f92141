/** Ranges and histograms of a float model's values over calibration data. */
import { QuantcError } from '../errors/error.js';
import { byteLengthOf, isFloat } from '../ir/dtype.js';
import type { Model, Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { elementCount } from '../ir/type.js';
import { type Session, withSession } from '../runtime/session.js';
import { tapped } from '../runtime/tap.js';
import type { Range } from '../target/facts.js';
import type { DataSet } from './dataset.js';
import { type Histogram, HistogramObserver } from './histogram.js';
import { ExtremesObserver, notFinite, nothingSeen, type Observer } from './observer.js';
import { withReductions } from './reductions.js';

export interface CalibrateOptions {
  /** Bytes of activations that one run may hold; more values mean smaller batches, then several rounds. Default 64 MiB. */
  readonly maxMemory?: number;
  /** Threads inside a node; default one a core. They do not change the result. */
  readonly threads?: number;
  readonly signal?: AbortSignal;
  /** Told after every feed; a share of 1 is the end. */
  readonly onProgress?: (share: number) => void;
  /** Told of each value that cannot be observed, and why; it is absent from the answer. */
  readonly onSkip?: (value: Value, reason: string) => void;
}

/** Larger batches were no faster: activations then fall out of the caches. */
const USUAL_MEMORY = 64 * 2 ** 20;

/**
 * Smallest and largest element of each value over the data. The model runs unoptimized in ONNX Runtime with reductions
 * appended, so that only scalars leave it. The answer depends on the samples alone, not on their batches or on threads,
 * as far as ONNX Runtime's own kernels give the same bits for them.
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
  const ranges = new Map<Value, Range>();
  await inGroups(model, values, data, options, async (group, feeds, step) => {
    const seen = group.map((): Range => ({ min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY }));
    try {
      const reduced = withReductions(model, group);
      await withSession(reduced.model, sessionOptions(options), async (session) => {
        for await (const feed of feeds) {
          const scalars = await session.run(feed);
          group.forEach((value, i) => {
            const { min, max, magnitude } = reduced.read(scalars, i);
            // Without elements the extremes are those of nothing: infinite, the wrong way round.
            if (min > max && magnitude === 0) return;
            // Reductions to extremes may pass over NaN; a sum of magnitudes never does.
            const sound = !Number.isNaN(magnitude) && Number.isFinite(min) && Number.isFinite(max);
            if (!sound) throw notFinite(value.name);
            seen[i] = { min: Math.min(seen[i]!.min, min) + 0, max: Math.max(seen[i]!.max, max) + 0 };
          });
          step();
        }
      });
    } catch (error) {
      // In older opsets ONNX Runtime refuses to reduce a tensor without elements, which some detectors compute: such
      // values are watched from outside, where the run fails again if the model itself is to blame.
      if (!(error instanceof QuantcError && error.code === 'E_RUNTIME_RUN')) throw error;
      const watched = await watch(model, group, feeds, options, (name) => new ExtremesObserver(name));
      group.forEach((_, i) => {
        seen[i] = watched[i]!.extremes();
      });
    }
    group.forEach((value, i) => {
      if (seen[i]!.min > seen[i]!.max) throw nothingSeen(value.name);
      ranges.set(value, seen[i]!);
    });
  });
  return ranges;
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
  const found = new Map<Value, Histogram>();
  await inGroups(model, values, data, options, async (group, feeds, step) => {
    const watched = await watch(model, group, feeds, options, (name) => new HistogramObserver(name), step);
    group.forEach((value, i) => {
      found.set(value, watched[i]!.histogram());
    });
  });
  return found;
}

type Feeds = AsyncIterable<Readonly<Record<string, Tensor>>>;

/** Cuts the work so that memory stays bounded: batches first, since they cost nothing, then groups of values. */
async function inGroups(
  model: Model,
  values: readonly Value[],
  data: DataSet,
  options: CalibrateOptions,
  observe: (group: readonly Value[], feeds: Feeds, step: () => void) => Promise<void>,
): Promise<void> {
  const wanted = [...new Set(values)].filter((value) => {
    const reason = whyNot(value, model);
    if (reason !== undefined) options.onSkip?.(value, reason);
    return reason === undefined;
  });
  const memory = options.maxMemory ?? USUAL_MEMORY;
  const sample = wanted.reduce((sum, value) => sum + sampleBytes(value), 0);
  const batch = Math.min(data.batch, Math.max(1, Math.floor(memory / Math.max(1, sample))));
  const cut = data.rebatched(batch);
  const groups = groupsOf(wanted, Math.floor(memory / cut.batch));
  const total = groups.length * Math.ceil(data.count / cut.batch);
  let done = 0;
  for (const group of groups) {
    await observe(group, untilAborted(cut, options.signal), () => {
      done += 1;
      options.onProgress?.(Math.min(1, done / total));
    });
  }
}

/** Brings the values out of ONNX Runtime whole and shows them to observers. */
async function watch<T extends Observer>(
  model: Model,
  values: readonly Value[],
  feeds: Feeds,
  options: CalibrateOptions,
  make: (name: string) => T,
  step?: () => void,
): Promise<T[]> {
  const observers = values.map((value) => make(value.name));
  const inner = values.filter((value) => !value.isInput);
  const run = async (session: Session | undefined): Promise<void> => {
    for await (const feed of feeds) {
      const results = { ...feed, ...(session ? await session.run(feed) : {}) };
      values.forEach((value, i) => {
        observers[i]!.observe(results[value.name]!.toFloat32());
      });
      step?.();
    }
  };
  if (inner.length === 0) await run(undefined);
  else await withSession(tapped(model, inner), sessionOptions(options), run);
  return observers;
}

const sessionOptions = ({ threads }: CalibrateOptions) => ({ optimization: 'off' as const, threads });

function whyNot(value: Value, model: Model): string | undefined {
  if (value.graph !== model.graph) return 'inside a subgraph or function, which calibration cannot see into';
  if (value.type === undefined) return 'its type is unknown';
  if (value.type.kind !== 'tensor') return `it is a ${value.type.kind}, not a tensor`;
  const { dtype } = value.type;
  if (dtype === 'float' || dtype === 'double' || dtype === 'float16') return undefined;
  return isFloat(dtype) ? `ONNX Runtime gives no ${dtype} out` : `its elements are ${dtype}, not floats`;
}

/** What a dimension that only the data tells is taken for when memory is estimated. */
const UNKNOWN_DIM = 64;

/** Bytes of a value for one sample; where the first axis is open, it counts samples. */
function sampleBytes(value: Value): number {
  const dims = value.shape ?? [null, UNKNOWN_DIM, UNKNOWN_DIM];
  const sizes = dims.map((dim, axis) => (typeof dim === 'number' ? dim : axis === 0 ? 1 : UNKNOWN_DIM));
  return byteLengthOf(value.dtype!, elementCount(sizes));
}

/** Splits values into groups of at most so many bytes; one that is larger stands alone. */
function groupsOf(values: readonly Value[], ceiling: number): Value[][] {
  const groups: Value[][] = [];
  let room = 0;
  for (const value of values) {
    const bytes = sampleBytes(value);
    if (groups.length === 0 || bytes > room) {
      groups.push([]);
      room = ceiling;
    }
    groups.at(-1)!.push(value);
    room -= bytes;
  }
  return groups;
}

/** The feeds, as often as they are iterated, with a look at the signal before each. */
function untilAborted(data: DataSet, signal: AbortSignal | undefined): Feeds {
  return {
    async *[Symbol.asyncIterator]() {
      for await (const feed of data) {
        if (signal?.aborted) {
          throw new QuantcError('E_CALIBRATION_ABORTED', 'calibration was stopped', { kind: 'usage' });
        }
        yield feed;
      }
    },
  };
}
