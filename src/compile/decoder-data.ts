import type { Batch, DataSet, Feeds } from '../calibration/dataset.js';
import type { Model } from '../ir/graph.js';
import { cacheInputs, withoutPast } from '../runtime/first-run.js';

/**
 * The samples as a decoder with a cache takes them when nothing is past; as they are for every other model. Data know
 * only the inputs that the model came with.
 */
export function decoderData<T extends DataSet | undefined>(data: T, model: Model): T {
  const ports = model.graph.inputs.filter(({ constant }) => constant === undefined);
  if (data === undefined || cacheInputs(ports).length === 0) return data;
  return completed(data, (feeds) => withoutPast(ports, feeds)) as T;
}

function completed(data: DataSet, complete: (feeds: Feeds) => Feeds): DataSet {
  const batches = async function* (): AsyncGenerator<Batch> {
    for await (const batch of data.batches()) yield { ...batch, feeds: complete(batch.feeds) };
  };
  return {
    source: data.source,
    synthetic: data.synthetic,
    count: data.count,
    batch: data.batch,
    metric: data.metric,
    labels: data.labels,
    batches,
    async *[Symbol.asyncIterator]() {
      for await (const { feeds } of batches()) yield feeds;
    },
    first: (count) => completed(data.first(count), complete),
    rebatched: (batch) => completed(data.rebatched(batch), complete),
    digest: () => data.digest(),
  };
}
