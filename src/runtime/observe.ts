import { QuantcError } from '../errors/error.js';
import type { Model, Value } from '../ir/graph.js';
import type { Feeds } from './compare.js';
import { withSession } from './session.js';
import { canTap, tapGroups, tapped } from './tap.js';

/** Whatever watches the elements of one value, feed by feed. */
export interface Watcher {
  observe(elements: Float32Array): void;
  extremes(): { min: number; max: number };
}

export interface ObserveOptions {
  /** The same feeds each time that it is iterated: groups of values are observed one after the other. */
  readonly feeds: Feeds;
  readonly watch: (value: string) => Watcher;
  /** Bytes of values that one run may bring out; default 256 MiB. */
  readonly maxBytes?: number;
}

/**
 * Runs the model on the feeds and shows every value wanted to its watcher, a feed at a time. Nothing is kept but what
 * watchers keep; more values than `maxBytes` hold are watched in several rounds. The optimizer is off, so that every
 * value is what the graph says.
 * @throws QuantcError E_CALIBRATION_VALUE for a value that cannot be brought out; errors of the watchers.
 */
export async function observe(
  model: Model,
  values: readonly Value[],
  options: ObserveOptions,
): Promise<Map<Value, Watcher>> {
  const watchers = new Map(values.map((value) => [value, options.watch(value.name)]));
  for (const value of values) {
    if (!canTap(value)) {
      throw new QuantcError('E_CALIBRATION_VALUE', 'the value cannot be observed: it is no plain tensor', {
        place: { value: value.name },
      });
    }
  }
  const inputs = values.filter((value) => value.isInput);
  const inner = values.filter((value) => !value.isInput);
  for (const value of inputs) {
    for await (const feed of options.feeds) {
      const tensor = feed[value.name];
      if (tensor) watchers.get(value)!.observe(tensor.toFloat32());
    }
  }
  for (const group of tapGroups(inner, options.maxBytes ?? 256 << 20)) {
    await withSession(tapped(model, group), { optimization: 'off' }, async (session) => {
      for await (const feed of options.feeds) {
        const results = await session.run(feed);
        for (const value of group) watchers.get(value)!.observe(results[value.name]!.toFloat32());
      }
    });
  }
  return watchers;
}
