import { type DataSet, StoredDataSet } from '../../src/calibration/dataset.js';
import { encodeNpy, parseNpy } from '../../src/calibration/npy.js';
import type { Tensor } from '../../src/ir/tensor.js';

/** A set whose samples lie along the first axis of tensors. */
export function memoryData(
  tensors: Readonly<Record<string, Tensor>>,
  options: { batch?: number; exact?: boolean; stacked?: boolean; labels?: readonly number[] } = {},
): DataSet {
  const inputs = Object.entries(tensors).map(([name, tensor]) => ({
    name,
    array: parseNpy(encodeNpy(tensor), `${name}.npy`),
    dtype: tensor.dtype,
  }));
  return new StoredDataSet({
    source: 'memory',
    inputs,
    constants: {},
    count: inputs[0]!.array.shape[0]!,
    batch: options.stacked ? 1 : (options.batch ?? 8),
    exact: options.exact ?? false,
    stacked: options.stacked ?? false,
    labels: options.labels && Int32Array.from(options.labels),
  });
}
