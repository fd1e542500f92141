/** What values hold while a model runs, shown run by run: for algorithms that need more than ranges. */
import type { Model, Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { withSession } from '../runtime/session.js';
import { tapped } from '../runtime/tap.js';
import type { DataSet } from './dataset.js';

export interface WatchOptions {
  /** Samples a run. Default 1, whatever the data say: the cuts, and with them every last bit, are always the same. */
  readonly batch?: number;
}

/**
 * Runs the model, unoptimized and on one thread, over the samples in order and shows what each value held in each run:
 * the same bits every time. Nothing is kept from run to run but what `see` keeps.
 * @param values of the main graph; graph inputs and constants may be among them
 * @throws errors of the data and of the session
 */
export async function watch(
  model: Model,
  values: readonly Value[],
  data: DataSet,
  see: (seen: ReadonlyMap<Value, Tensor>) => void | Promise<void>,
  { batch = 1 }: WatchOptions = {},
): Promise<void> {
  const wanted = [...new Set(values)];
  const inner = wanted.filter((value) => !value.isInput && !value.isConstant);
  const cut = data.rebatched(batch);
  const show = async (found: Readonly<Record<string, Tensor>>): Promise<void> => {
    await see(new Map(wanted.map((value) => [value, value.constant ?? found[value.name]!])));
  };
  if (inner.length === 0) {
    for await (const feeds of cut) await show(feeds);
    return;
  }
  await withSession(tapped(model, inner), { optimization: 'off', threads: 1 }, async (session) => {
    for await (const feeds of cut) await show({ ...feeds, ...(await session.run(feeds)) });
  });
}
