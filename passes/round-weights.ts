/**
 * Weights rounded together. Rounding each to the nearest integer makes every single error as small as it can be; what
 * counts is what the errors add up to in the layer's output. For the errors d = ŵ − w of a row that is d·A·dᵀ, with
 * A = E[x·xᵀ] over the layer's inputs in the quantized model, and `nearestPlane` finds integers that keep it small.
 * What errors do to the mean of the output, a bias takes back:
 *   Ŵ·x + b̂,  b̂ = b − (Ŵ − W)·E[x],   leaves   d·(A − E[x]·E[x]ᵀ)·dᵀ
 * so that with a bias the metric is the covariance. All layers are done at once: none makes up for another's errors.
 */
import {
  definePass,
  type MatrixEngine,
  type Metric,
  type Model,
  metricBy,
  nearestPlaneBy,
  type PassContext,
  usableBounds,
} from '../src/index.js';
import { byMemory, withMatrices } from './quantized/large-layers.js';
import { type QuantizedLayer, quantizedLayers, type Reader } from './quantized/layer.js';
import { type Moments, momentsOf, partsOf } from './quantized/moments.js';
import { matrixOf, scalesOf, storeBias, storeIntegers } from './quantized/store.js';
import { counted, unlessWorse } from './quantized/trial.js';

/** Samples that the moments are taken over: images give thousands of columns each. */
const SAMPLES = 64;
/** Weights whose integers are held in memory until the file is written; models with more stay as they are. */
const MOST_WEIGHTS = 1 << 27;
/** Added to the diagonal, as a share of its mean: what the metric cannot know, and what few columns leave unsure. */
const DAMPING = 1e-3;
const DAMPING_A_COLUMN = 0.1;
/**
 * Few samples say little of whole models: integers that are better layer by layer stay, unless outputs are worse by more
 * than this factor of noise, 1 dB.
 */
const TOLERANCE = 10 ** 0.1;

const NAME = 'round-weights';

export const roundWeights = definePass({
  name: NAME,
  doc: 'integers of a weight, each the nearest, → those that change the layer’s output least; biases take what moves its mean',
  needs: ['typed'],
  run: (model, context) => withMatrices(context, (matrices) => roundAll(model, context, matrices)),
});

async function roundAll(
  model: Model,
  context: PassContext,
  matrices: MatrixEngine | undefined,
): Promise<void> {
  const layers = quantizedLayers(model, context.decline).filter((layer) =>
    isPossible(layer, context, matrices),
  );
  if (layers.length === 0) return;
  if (context.engine.watch === undefined) {
    context.decline('there are no calibration samples');
    return;
  }
  if (layers.reduce((sum, { weight }) => sum + weight.count, 0) > MOST_WEIGHTS) {
    const message = 'weights were rounded one by one: there are too many to hold their integers in memory';
    context.ledger.note('info', NAME, message, NAME);
    return;
  }
  await unlessWorse(model, layers, context, {
    pass: NAME,
    what: counted(layers.length, 'weight'),
    done: 'rounded together',
    undone: 'left rounded one by one',
    tolerance: TOLERANCE,
    async change() {
      for (const group of byMemory(layers, matrices?.largest)) {
        const moments = await momentsOf(model, group, SAMPLES, context, matrices);
        for (const layer of group) await round(layer, moments, context, matrices);
      }
    },
  });
}

function isPossible(
  layer: QuantizedLayer,
  context: PassContext,
  matrices: MatrixEngine | undefined,
): boolean {
  if (partsOf(layer, matrices?.largest) !== undefined) return true;
  context.decline('it sums over too many inputs, which cannot be parted evenly', layer.readers[0]!.node);
  return false;
}

async function round(
  layer: QuantizedLayer,
  moments: ReadonlyMap<Reader, Moments>,
  context: PassContext,
  matrices: MatrixEngine | undefined,
): Promise<void> {
  const { rows, size, groups, readers } = layer;
  const weights = matrixOf(layer);
  const scales = scalesOf(layer);
  if (!weights.every(Number.isFinite)) {
    context.decline('not all of its weights are finite', readers[0]!.node);
    return;
  }
  const seen = readers.map((reader) => moments.get(reader)!);
  const centred = readers.every(({ bias }) => bias !== undefined);
  const parts = partsOf(layer, matrices?.largest)!;
  const inner = (size * groups) / parts;
  const channels = rows / groups;
  const bounds = usableBounds(layer.spec.dtype, layer.spec);
  const integers = new Float64Array(weights.length);
  for (let part = 0; part < parts; part++) {
    const group = Math.floor((part * groups) / parts);
    const row = group * channels;
    const column = (part - (group * parts) / groups) * inner;
    const own = {
      weights: stretch(weights, row, channels, size, column, inner),
      scales: scales.subarray(row, row + channels),
      bounds,
    };
    const q = new Float64Array(channels * inner);
    await nearestPlaneBy(matrices, await metricFor(seen, part, inner, centred, matrices), own, q);
    for (let r = 0; r < channels; r++)
      integers.set(q.subarray(r * inner, (r + 1) * inner), (row + r) * size + column);
  }
  storeIntegers(layer, integers);
  readers.forEach(({ bias }, at) => {
    if (bias === undefined || !centred) return;
    const { mean } = seen[at]!;
    const shift = new Float64Array(rows);
    for (let r = 0; r < rows; r++) {
      const from = Math.floor(r / channels) * size;
      for (let k = 0; k < size; k++)
        shift[r]! -= (integers[r * size + k]! * scales[r]! - weights[r * size + k]!) * mean[from + k]!;
    }
    storeBias(layer, bias, shift);
  });
  context.changed(`weights rounded together over ${seen[0]!.count} inputs`, readers[0]!.node);
}

/** The metric of one part: the second moments of all readers together, about the mean where biases take it. */
async function metricFor(
  seen: readonly Moments[],
  part: number,
  size: number,
  centred: boolean,
  matrices: MatrixEngine | undefined,
): Promise<Metric> {
  const matrix = new Float64Array(size * size);
  let count = 0;
  for (const { second, mean, count: columns } of seen) {
    const from = second[part]!;
    const at = part * size;
    count += columns;
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++)
        matrix[i * size + j]! += from[i * size + j]! - (centred ? mean[at + i]! * mean[at + j]! : 0);
    }
  }
  let trace = 0;
  for (let i = 0; i < size; i++) trace += matrix[i * size + i]!;
  // Inputs that are always zero, or always the same, leave nothing to weigh: then each weight counts alike.
  const tells = trace > 0 && Number.isFinite(trace);
  const share = tells ? trace / size : 1;
  if (!tells) matrix.fill(0);
  const diagonal = Float64Array.from({ length: size }, (_, i) => matrix[i * size + i]!);
  for (let damping = DAMPING + (DAMPING_A_COLUMN * size) / count; ; damping *= 10) {
    for (let i = 0; i < size; i++) matrix[i * size + i] = diagonal[i]! + share * damping;
    const metric = await metricBy(matrix, size, matrices);
    if (metric !== undefined) return metric;
  }
}

/** Columns from `first` on of some rows of a matrix. */
function stretch(
  matrix: Float64Array,
  row: number,
  rows: number,
  size: number,
  first: number,
  count: number,
): Float64Array {
  const result = new Float64Array(rows * count);
  for (let r = 0; r < rows; r++) {
    const at = (row + r) * size + first;
    result.set(matrix.subarray(at, at + count), r * count);
  }
  return result;
}
