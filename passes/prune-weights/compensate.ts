/**
 * Pruning where the weights that stay make up for those that go (SparseGPT, Frantar and Alistarh, 2023). With A = E[x·xᵀ]
 * over a layer's inputs, a weight w whose place in the factor of A has pivot p costs p·w² when the others do what they
 * can: those that cost least go, row by row, and `settleRows` moves the others. The paper chooses anew every 128 weights;
 * here all of a row are chosen at once, by what they are before any of them moves.
 */
import {
  limitsOf,
  type MatrixEngine,
  type Metric,
  type Model,
  metricBy,
  type PassContext,
  type PruneChoice,
  prunedByLimits,
  prunedByPattern,
  settleRowsBy,
  type WeightMatrix,
} from '../../src/index.js';
import { byMemory, withMatrices } from '../quantized/large-layers.js';
import { type Moments, momentsOf, partsOf } from '../quantized/moments.js';
import type { PrunableLayer } from './layers.js';

const SAMPLES = 64;
/** Added to the diagonal, as a share of its mean. */
const DAMPING = 0.01;

/** Shows each layer's weight as it becomes; those that sums over inputs tell nothing about are left out. */
export const compensated = (
  model: Model,
  layers: readonly PrunableLayer[],
  { sparsity }: PruneChoice,
  context: PassContext,
  show: (layer: PrunableLayer, values: Float32Array) => void,
): Promise<void> =>
  withMatrices(context, async (matrices) => {
    const possible = layers.filter((layer) => {
      const parts = partsOf(layer, matrices?.largest);
      if (parts === undefined)
        context.decline(
          'it sums over too many inputs, which cannot be parted evenly',
          layer.readers[0]!.node,
        );
      return parts !== undefined;
    });
    for (const group of byMemory(possible, matrices?.largest)) {
      const moments = await momentsOf(model, group, SAMPLES, context, matrices);
      for (const layer of group) {
        const metrics = await metricsOf(layer, moments, matrices);
        if (metrics === undefined)
          context.decline('samples tell nothing of its inputs', layer.readers[0]!.node);
        else show(layer, await settled(layer, metrics, sparsity, matrices));
      }
    }
  });

/** One metric a part of the layer's inputs, of all readers together. */
async function metricsOf(
  layer: PrunableLayer,
  moments: ReadonlyMap<unknown, Moments>,
  matrices: MatrixEngine | undefined,
): Promise<Metric[] | undefined> {
  const seen = layer.readers.map((reader) => moments.get(reader)!);
  const metrics: Metric[] = [];
  for (let part = 0; part < seen[0]!.second.length; part++) {
    const matrix = new Float64Array(seen[0]!.second[part]!.length);
    for (const { second } of seen)
      for (let at = 0; at < matrix.length; at++) matrix[at]! += second[part]![at]!;
    const size = Math.sqrt(matrix.length);
    let trace = 0;
    for (let i = 0; i < size; i++) trace += matrix[i * size + i]!;
    if (!(trace > 0 && Number.isFinite(trace))) return undefined;
    for (let i = 0; i < size; i++) matrix[i * size + i]! += (DAMPING * trace) / size;
    const metric = await metricBy(matrix, size, matrices);
    if (metric === undefined) return undefined;
    metrics.push(metric);
  }
  return metrics;
}

async function settled(
  layer: PrunableLayer,
  metrics: readonly Metric[],
  sparsity: PruneChoice['sparsity'],
  matrices: MatrixEngine | undefined,
): Promise<Float32Array> {
  const { rows, size, groups, turned, tensor } = layer;
  const values = tensor.toFloat32();
  // The roots of the pivots, where the weights stand: as sizes of inputs they make the score of a weight.
  const roots = new Float64Array(groups * size);
  const inner = metrics[0]!.size;
  metrics.forEach(({ order, pivots }, part) => {
    for (let i = 0; i < inner; i++) roots[part * inner + order[i]!] = Math.sqrt(pivots[i]!);
  });
  const matrix: WeightMatrix = layer;
  const mask =
    sparsity.kind === 'share'
      ? prunedByLimits(values, matrix, limitsOf(values, matrix, sparsity.share, roots), roots)
      : prunedByPattern(values, matrix, sparsity, roots);
  const place = (row: number, k: number): number => (turned ? k * rows + row : row * size + k);
  const perGroup = metrics.length / groups;
  const channels = rows / groups;
  for (const [part, metric] of metrics.entries()) {
    const group = Math.floor(part / perGroup);
    const [row, column] = [group * channels, (part - group * perGroup) * inner];
    const own = new Float64Array(channels * inner);
    for (let r = 0; r < channels; r++)
      for (let k = 0; k < inner; k++) own[r * inner + k] = values[place(row + r, column + k)]!;
    await settleRowsBy(matrices, metric, own, (r, index, wished) => {
      const at = place(row + r, column + index);
      const value = mask[at] === 0 ? 0 : wished;
      mask[at] = value;
      return value;
    });
  }
  return mask;
}
