/** The engine of one compilation: ONNX Runtime, its data, its cache, and what it tells while it works. */
import type { DataSet } from '../calibration/dataset.js';
import type { Value } from '../ir/graph.js';
import type { Ledger } from '../pipeline/ledger.js';
import type { Engine, Observation } from '../pipeline/pass.js';
import { createEngine } from '../runtime/engine.js';
import { withProducts } from '../runtime/products.js';
import type { BudgetTerm } from './budget/budget.js';
import { asksForLikeness } from './budget/figures.js';
import type { AnswerCache } from './cache.js';
import { decoderData } from './decoder-data.js';
import type { Meeting } from './meeting.js';
import type { PluggedObserver } from './plugged.js';
import { DEFAULT_MEMORY } from './pool.js';
import type { RangeMethod } from './range-method.js';
import { observeRanges } from './ranges.js';
import type { CompileRequest, Stage } from './request.js';
import { sampleEngine } from './sample-engine.js';

/** What one model at a time takes to be run, in bytes of its file. */
const JUDGE_FACTOR = 3;

export interface CompileEngineOptions {
  readonly request: CompileRequest;
  /** Samples that ranges are taken from. */
  readonly samples: DataSet | undefined;
  readonly cache: AnswerCache;
  readonly ledger: Ledger;
  /** Compilations of the same model for other shapes, which agree with this one on ranges. */
  readonly meeting: Meeting | undefined;
  readonly terms: readonly BudgetTerm[];
  /** How ranges are chosen. */
  readonly ranges: RangeMethod | PluggedObserver | undefined;
  /** Bytes of the model and its external data. */
  readonly modelBytes: number;
  /** Told of the stage that is begun, and of how much of it is done. */
  readonly enter: (stage: Stage) => void;
  readonly progress: (stage: Stage) => (share: number) => void;
  /** Told what calibration saw of each value, where all samples were looked at. */
  readonly onObserved: (seen: ReadonlyMap<Value, Observation>) => void;
}

/** What passes may ask for while a model is compiled. */
export function compileEngine(options: CompileEngineOptions): Engine {
  const { request, samples: data, cache, ledger, meeting, terms, enter, progress } = options;
  const { threads, signal, maxMemory = DEFAULT_MEMORY } = request;
  const remember: Engine['remember'] = (kind, key, compute) => cache.remember(kind, key, compute);
  return {
    ...createEngine(),
    observe: async (at, values, samples) => {
      enter('calibrate');
      let ran = false;
      const found = await observeRanges(
        at,
        values,
        decoderData(samples === undefined ? data : data?.first(samples), at),
        {
          maxMemory: maxMemory / 4,
          threads,
          signal,
          onProgress: progress('calibrate'),
          remember,
          onRun: () => {
            ran = true;
          },
          onExceeded: (bytes) =>
            ledger.note(
              'info',
              'calibration-memory',
              `one sample's values take ${bytes} bytes, more than a quarter of the ceiling`,
            ),
        },
        options.ranges,
      );
      if (!ran) {
        progress('calibrate')(1);
        ledger.note(
          'info',
          'calibration',
          `${found.size} ranges are known from an earlier calibration of this very model, on these samples, by this method`,
        );
      }
      if (samples === undefined) options.onObserved(found);
      return meeting ? meeting.join(found) : found;
    },
    remember,
    withProducts: (use) => withProducts({ threads, maxBytes: maxMemory / 2 }, use),
    onSearch(share) {
      if (share === 0) enter('search');
      else progress('search')(share);
    },
    // What is fitted to the data of one shape would not fit the weights of another.
    ...(data &&
      !meeting &&
      sampleEngine(data, {
        byLikeness: asksForLikeness(terms),
        roomy: options.modelBytes * JUDGE_FACTOR <= maxMemory,
        maxBytes: maxMemory / 8,
        signal,
      })),
  };
}
