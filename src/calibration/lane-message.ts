/** What the main thread and the threads of calibration say to each other. */
import type { PlainError } from '../errors/plain.js';
import { Tensor } from '../ir/tensor.js';
import type { Histogram } from './histogram.js';
import type { LaneJob } from './lane.js';

/** A tensor as data that crosses threads: its bytes, or the elements of a string tensor. */
interface PlainTensor {
  readonly dtype: Tensor['dtype'];
  readonly shape: readonly number[];
  readonly content: Uint8Array | readonly Uint8Array[];
}
export type PlainFeeds = Readonly<Record<string, PlainTensor>>;

/** To a thread: first of all its job; then a sample to run, or that its histograms are wanted, or that it shall end. */
export type Order =
  | { readonly kind: 'open'; readonly job: LaneJob }
  | { readonly kind: 'observe'; readonly feeds: PlainFeeds }
  | { readonly kind: 'finish' }
  | { readonly kind: 'close' };

/** From a thread, one for each sample and for the histograms. */
export type Answer =
  | { readonly kind: 'seen'; readonly extremes: Float64Array }
  | { readonly kind: 'histograms'; readonly histograms: readonly (Histogram | undefined)[] }
  | { readonly kind: 'error'; readonly error: PlainError };

export const plainFeeds = (feeds: Readonly<Record<string, Tensor>>): PlainFeeds =>
  Object.fromEntries(
    Object.entries(feeds).map(([name, tensor]) => {
      const { dtype, shape, source } = tensor;
      // A view would take the whole of what it looks at along.
      const content = source.kind === 'strings' ? source.values : Uint8Array.from(tensor.bytes());
      return [name, { dtype, shape, content }];
    }),
  );

export const revivedFeeds = (feeds: PlainFeeds): Record<string, Tensor> =>
  Object.fromEntries(
    Object.entries(feeds).map(([name, { dtype, shape, content }]) => [
      name,
      content instanceof Uint8Array
        ? Tensor.of(dtype, shape, content)
        : new Tensor(dtype, shape, { kind: 'strings', values: content }),
    ]),
  );
