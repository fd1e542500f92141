/** Weights of products rounded together over calibration samples (GPTQ). */
import {
  type BlockBytes,
  type BlockSpec,
  isStatic,
  type Metric,
  type Model,
  metricOf,
  type PassContext,
  QuantcError,
  roundBlocks,
  type Tensor,
  type Value,
  type WeightBits,
  type WeightChoice,
} from '../../src/index.js';
import {
  type MomentLayer,
  type MomentReader,
  type Moments,
  momentsOf,
  partsOf,
} from '../quantized/moments.js';
import type { Plan, PlannedProduct } from './plan.js';

/** Samples that moments are taken over. */
const SAMPLES = 64;
/** Bytes of moments held at a time. */
const MOMENT_BYTES = 128 << 20;
/** More weights would take too much time, and their integers too much memory until the file is written. */
const MOST_WEIGHTS = 1 << 27;
/** Added to the diagonal, as a share of its mean. */
const DAMPING = 0.01;

/** Results of weights that are known ahead, by constant: the product sums over `axis`. */
export type Rounded = Map<
  Tensor,
  { readonly axis: 0 | 1; readonly bits: WeightBits; readonly blockSize: number; readonly bytes: BlockBytes }
>;

/**
 * Rounds the weights of products of the main graph, where samples are to be had; the others are left to be rounded one
 * by one.
 * @param storedAs the constant that a product's weight is stored as, where that is another one
 * @throws QuantcError E_CALIBRATION_MISSING when it must be done and there are no samples
 */
export async function roundedWeights(
  model: Model,
  products: readonly PlannedProduct[],
  { together }: WeightChoice,
  storedAs: (tensor: Tensor) => Tensor | undefined,
  context: PassContext,
): Promise<Rounded> {
  const rounded: Rounded = new Map();
  if (together === undefined) return rounded;
  if (context.engine.watch === undefined) {
    if (together === 'with-samples') return rounded;
    throw new QuantcError(
      'E_CALIBRATION_MISSING',
      'weights are rounded together over calibration data, which this model cannot draw from itself',
      {
        kind: 'usage',
        hint: 'Give data with --calib, or choose another --weight-method.',
      },
    );
  }
  const weights = products.reduce((sum, { tensor }) => sum + tensor.count, 0);
  if (weights > MOST_WEIGHTS) {
    const message = `weights were rounded one by one: rounding ${weights} of them together would take too long`;
    context.ledger.note('info', 'weights-together', message);
    return rounded;
  }
  for (const group of groupsOf(model, products)) {
    const moments = await momentsOf(model, group, SAMPLES, context);
    for (const layer of group) {
      const [reader] = layer.readers;
      const metrics = metricsOf(moments.get(reader!)!);
      for (const product of layer.products) {
        const tensor = storedAs(product.tensor) ?? product.tensor;
        const axis = tensor === product.tensor ? product.axis : 1;
        if (metrics === undefined || rounded.has(tensor)) continue;
        const spec = specOf(tensor, axis, product.plan);
        const { bits, blockSize } = spec;
        rounded.set(tensor, { axis, bits, blockSize, bytes: roundBlocks(tensor.toFloat32(), spec, metrics) });
        context.changed('rounded together with the other weights of the product', product.node);
      }
    }
  }
  return rounded;
}

function specOf(tensor: Tensor, axis: 0 | 1, { choice, blockSize }: Plan): BlockSpec {
  const { bits, symmetric = false, method = 'mse' } = choice;
  const shape = tensor.shape as readonly [number, number];
  return { shape, axis, bits, blockSize, symmetric, method, half: tensor.dtype === 'float16' };
}

/** Products that read the same value, which its moments serve all. */
interface Layer extends MomentLayer {
  readonly products: readonly PlannedProduct[];
}

/** Layers in order, as many at a time as there is room for. */
function groupsOf(model: Model, products: readonly PlannedProduct[]): Layer[][] {
  const byInput = new Map<Value, PlannedProduct[]>();
  for (const product of products) {
    const { node, tensor, axis } = product;
    const input = node.inputs[0]!;
    // Inner graphs cannot be watched; elsewhere a product's input is told apart by its value.
    if (node.graph !== model.graph || !isStatic([tensor.shape[axis]!])) continue;
    byInput.set(input, [...(byInput.get(input) ?? []), product]);
  }
  const groups: Layer[][] = [];
  let room = 0;
  for (const [input, own] of byInput) {
    const { node, tensor, axis } = own[0]!;
    const size = tensor.shape[axis]!;
    const readers: MomentReader[] = [{ node, input }];
    const layer: Layer = { size, groups: 1, kernel: [], readers, products: own };
    const parts = partsOf(layer);
    if (parts === undefined) continue;
    const bytes = (12 * size * size) / parts;
    if (groups.length === 0 || bytes > room) {
      groups.push([]);
      room = MOMENT_BYTES;
    }
    groups.at(-1)!.push(layer);
    room -= bytes;
  }
  return groups;
}

/** Nothing where samples tell nothing: all zeros, or not finite. */
function metricsOf({ second }: Moments): Metric[] | undefined {
  const metrics: Metric[] = [];
  for (const matrix of second) {
    const size = Math.sqrt(matrix.length);
    let trace = 0;
    for (let i = 0; i < size; i++) trace += matrix[i * size + i]!;
    if (!(trace > 0 && Number.isFinite(trace))) return undefined;
    const metric = damped(matrix, size, trace / size);
    if (metric === undefined) return undefined;
    metrics.push(metric);
  }
  return metrics;
}

function damped(matrix: Float64Array, size: number, mean: number): Metric | undefined {
  for (let damping = DAMPING; damping <= 1; damping *= 10) {
    const raised = matrix.slice();
    for (let i = 0; i < size; i++) raised[i * size + i]! += mean * damping;
    const metric = metricOf(raised, size);
    if (metric !== undefined) return metric;
  }
  return undefined;
}
