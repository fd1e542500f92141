/** What passes may ask of calibration samples, besides ranges. */
import type { DataSet } from '../calibration/dataset.js';
import { openJudge } from '../calibration/judge.js';
import { likenessOn } from '../calibration/likeness.js';
import { watch } from '../calibration/watch.js';
import { withWeightTrials } from '../calibration/weight-trials.js';
import type { Model } from '../ir/graph.js';
import type { Engine } from '../pipeline/pass.js';
import { decoderData } from './decoder-data.js';
import { stoppable } from './samples.js';

/** Samples that mixes of precisions are judged by. */
const JUDGED = 64;

export interface SampleEngineOptions {
  /** Outputs are compared by signal to noise, whatever the data are judged by. */
  readonly byLikeness: boolean;
  /** Whether there is memory to run further models beside the first. */
  readonly roomy: boolean;
  /** Bytes of outputs that may be kept. */
  readonly maxBytes: number;
  readonly signal: AbortSignal | undefined;
}

/** The services that run models over samples: one sample a run, one thread a session, so that choices depend on neither. */
export function sampleEngine(
  samples: DataSet,
  { byLikeness, roomy, maxBytes, signal }: SampleEngineOptions,
): Partial<Engine> {
  const first = (at: Model, count: number) => stoppable(decoderData(samples, at).first(count), signal);
  return {
    ...(roomy && {
      judge: (at) => openJudge(at, first(at, JUDGED).rebatched(1), { threads: 1, byLikeness, maxBytes }),
      weightTrials: (at, weights, count, use) =>
        withWeightTrials(at, weights, first(at, count).rebatched(1), use, { threads: 1, maxBytes }),
    }),
    samplesDigest: (count = samples.count) => samples.first(count).digest(),
    likeness: likenessOn((at) => stoppable(decoderData(samples, at), signal)),
    // What random feeds correlate says nothing of real ones.
    ...(!samples.synthetic && {
      watch: (at, values, count, see) => watch(at, values, first(at, count), see),
      async costsOf(at, weights, count) {
        const { fisherOf } = await import('./weight-fisher.js');
        return fisherOf(at, weights, first(at, count).rebatched(1));
      },
    }),
  };
}
