/** Ranges as observers of plugins choose them, from histograms. */
import type { Histogram } from '../calibration/histogram.js';
import { sketchOf } from '../calibration/sketch.js';
import type { Sketch } from '../pipeline/sketch.js';
import { observedRange } from '../plugin/guard.js';
import type { SeenValue } from '../plugin/range-observer.js';
import type { Range } from '../target/facts.js';
import type { PluggedObserver } from './plugged.js';

/** A histogram as plain data, without the empty bins at its ends: what is kept, whatever the observer makes of it. */
export interface KeptHistogram extends Range {
  readonly total: number;
  readonly zeros: number;
  readonly width: number;
  /** Lower edge of the first bin. */
  readonly from: number;
  readonly counts: Float64Array;
  readonly sketch: Sketch;
}

/** What is worth keeping of a histogram. */
export function kept(histogram: Histogram): KeptHistogram {
  const { counts, width, zeros, total, min, max } = histogram;
  const first = counts.findIndex((count) => count > 0);
  const last = counts.findLastIndex((count) => count > 0);
  return {
    ...{ min, max, total, zeros, width, sketch: sketchOf(histogram) },
    from: first < 0 ? 0 : (first - counts.length / 2) * width,
    counts: first < 0 ? new Float64Array() : counts.slice(first, last + 1),
  };
}

/** What the observer makes of it. @throws QuantcError E_PLUGIN_FAILED, with the value in its place */
export function pluggedRange(
  { plugin, observer }: PluggedObserver,
  name: string,
  seen: KeptHistogram,
): Range {
  const { min, max, total, zeros, width, from } = seen;
  const counts = Array.from(seen.counts);
  const edges =
    counts.length === 0 ? [] : Array.from({ length: counts.length + 1 }, (_, i) => from + i * width);
  const shown: SeenValue = { name, min, max, total, zeros, counts, edges };
  return observedRange(observer, plugin, shown);
}
