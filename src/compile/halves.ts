/** One set of samples as two that share none. */
import type { Batch, DataSet } from '../calibration/dataset.js';

/**
 * Every other feed of the data, one sample each where the model takes that.
 * @param half 0 begins with the first, 1 with the second
 */
export function halfOf(data: DataSet, half: 0 | 1): DataSet {
  return everyOther(data.rebatched(1), half);
}

function everyOther(data: DataSet, half: 0 | 1): DataSet {
  const isMine = (sample: number): boolean => Math.floor(sample / data.batch) % 2 === half;
  const mine = Array.from({ length: data.count }, (_, sample) => sample).filter(isMine);
  const labels = data.labels && Int32Array.from(mine, (sample) => data.labels![sample]!);
  const batches = async function* (): AsyncGenerator<Batch> {
    let start = 0;
    for await (const batch of data.batches()) {
      if (!isMine(batch.start)) continue;
      yield { ...batch, start };
      start += batch.count;
    }
  };
  /** How many of the data hold the first so many of this half. */
  const reach = (count: number): number => (mine[Math.min(count, mine.length) - 1] ?? -1) + 1;
  const cut: DataSet = {
    source: data.source,
    synthetic: data.synthetic,
    count: mine.length,
    batch: data.batch,
    ...(data.metric && { metric: data.metric }),
    ...(labels && { labels }),
    batches,
    async *[Symbol.asyncIterator]() {
      for await (const { feeds } of batches()) yield feeds;
    },
    first: (count) => (count >= mine.length ? cut : everyOther(data.first(reach(count)), half)),
    rebatched: () => cut,
    digest: () => `${half} of 2: ${data.digest()}`,
  };
  return cut;
}
