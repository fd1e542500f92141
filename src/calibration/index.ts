/** Data for models: reading it, and what calibration and evaluation make of it. */
export { type CalibrateOptions, calibrate, histograms, movingAverages } from './calibrate.js';
export { type OpenDataOptions, openData, type Split } from './data.js';
export type { Batch, DataSet, Feeds, InputSignature } from './dataset.js';
export { entropyRange } from './entropy.js';
export { type Evaluation, type Evaluator, evaluate, evaluatorFor } from './evaluate.js';
export { type Histogram, HistogramObserver } from './histogram.js';
export type { Metric } from './manifest.js';
export { encodeNpy, openNpy, openNpz, parseNpy, type StoredArray } from './npy.js';
export { ExtremesObserver, MovingAverage, type Observer } from './observer.js';
export { SeededRandom } from './random.js';
export { type Grid, leastErrorRange, percentileRange } from './range.js';
export { type SyntheticOptions, syntheticData } from './synthetic.js';
export { type WatchOptions, watch } from './watch.js';
