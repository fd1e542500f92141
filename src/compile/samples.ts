/** What a model is run on while it is compiled: the data given, else random feeds. */
import type { DataSet } from '../calibration/dataset.js';
import { syntheticData } from '../calibration/synthetic.js';
import { QuantcError } from '../errors/error.js';
import type { Model } from '../ir/graph.js';
import type { Ledger } from '../pipeline/ledger.js';
import { withSession } from '../runtime/session.js';
import { fixedFeeds } from './fixed-inputs.js';

/**
 * Random feeds, where there are no data: they run the model for the proof. Static ranges from them are a guess, and
 * the ledger says so.
 * @param ranges whether activation ranges will be taken from them.
 * @returns undefined when none can be drawn and none are needed for ranges.
 */
export function randomSamples(model: Model, ranges: boolean, ledger: Ledger): DataSet | undefined {
  try {
    const samples = syntheticData(model.graph.inputs, { values: fixedFeeds(model) });
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
 * The samples one a feed where the model takes them so, even if the data ask for batches: what is made of them then
 * does not depend on how they are batched. A model whose inputs take any batch may still have one built in, which one
 * run tells.
 * @throws errors of the session other than E_RUNTIME_RUN
 */
export async function oneByOne(data: DataSet, model: Model): Promise<DataSet> {
  const single = data.unbatched?.();
  if (single === undefined) return data;
  return withSession(model, { optimization: 'off', threads: 1 }, async (session) => {
    try {
      for await (const feeds of single.first(1)) await session.run(feeds);
      return single;
    } catch (error) {
      if (error instanceof QuantcError && error.code === 'E_RUNTIME_RUN') return data;
      throw error;
    }
  });
}

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
