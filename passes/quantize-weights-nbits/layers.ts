/** Products in the order of the graph, with second moments of what they read. */
import {
  cloneModel,
  isStatic,
  type MatrixEngine,
  type Metric,
  type Model,
  metricBy,
  type PassContext,
  type Rounding,
  setConstant,
  Tensor,
  type Value,
} from '../../src/index.js';
import { byMemory } from '../quantized/large-layers.js';
import {
  type MomentLayer,
  type MomentReader,
  type Moments,
  momentsOf,
  partsOf,
} from '../quantized/moments.js';
import type { Product } from './products.js';

/** Samples that moments are taken over. */
const SAMPLES = 64;
/** Added to the diagonal, as a share of its mean. */
const DAMPING = 0.01;

/**
 * Shows every product with the metric of its input. In sequence, what products before it became counts among what it
 * reads: moments are then taken again behind each of them (GPTQ's true-sequential).
 * @param matrices computes moments and factors of large inputs
 * @param visit answers with what the product's weight becomes, in its own layout; nothing where that is not known
 */
export async function visitLayers<P extends Product>(
  model: Model,
  products: readonly P[],
  { sequential = false, damping = DAMPING }: Rounding,
  context: PassContext,
  matrices: MatrixEngine | undefined,
  visit: (product: P, metrics: Metric[]) => Promise<Float32Array | undefined> | Float32Array | undefined,
): Promise<void> {
  const copy = sequential ? cloneModel(model) : undefined;
  const changed = new Set<Value>();
  const layers = layersOf(model, products, context, matrices?.largest);
  for (const group of copy ? layers.map((layer) => [layer]) : byMemory(layers, matrices?.largest)) {
    const own = group.map((layer) => {
      const [{ node, input }] = layer.readers as [MomentReader];
      return copy ? { ...layer, readers: [{ node, input: copy.values.get(input)! }] } : layer;
    });
    const moments = await momentsOf(copy?.model ?? model, own, SAMPLES, context, matrices);
    for (const [at, layer] of own.entries()) {
      const metrics = await metricsOf(moments.get(layer.readers[0]!)!, damping, matrices);
      if (metrics === undefined) continue;
      for (const product of group[at]!.products) {
        const values = await visit(product, metrics);
        const { weight, tensor } = product;
        const stands = copy?.values.get(weight);
        if (values === undefined || stands?.constant === undefined || changed.has(stands)) continue;
        changed.add(stands);
        if (tensor.dtype === 'float') setConstant(stands, Tensor.of('float', tensor.shape, values));
      }
    }
  }
}

/** Products that read the same value, which its moments serve all. */
interface Layer<P extends Product> extends MomentLayer {
  readonly products: readonly P[];
}

/** Products by what they read, in order. */
function layersOf<P extends Product>(
  model: Model,
  products: readonly P[],
  { ledger }: PassContext,
  largest: number | undefined,
): Layer<P>[] {
  const byInput = new Map<Value, P[]>();
  for (const product of products) {
    const { node, tensor, axis } = product;
    const input = node.inputs[0]!;
    // Inner graphs cannot be watched; elsewhere a product's input is told apart by its value.
    if (node.graph !== model.graph || !isStatic([tensor.shape[axis]!])) continue;
    byInput.set(input, [...(byInput.get(input) ?? []), product]);
  }
  const layers: Layer<P>[] = [];
  for (const [input, own] of byInput) {
    const { node, tensor, axis } = own[0]!;
    const size = tensor.shape[axis]!;
    const readers: MomentReader[] = [{ node, input }];
    const layer: Layer<P> = { size, groups: 1, kernel: [], readers, products: own };
    const parts = partsOf(layer, largest);
    if (parts === undefined) continue;
    if (parts > 1) {
      const message = `${input.name}: its ${size} elements are taken as ${parts} parts that have nothing to do with each other`;
      ledger.note('info', 'weights-parts', `${message}, a matrix of all would take too much memory or time`);
    }
    layers.push(layer);
  }
  return layers;
}

/** Nothing where samples tell nothing: all zeros, or not finite. */
async function metricsOf(
  { second }: Moments,
  damping: number,
  matrices: MatrixEngine | undefined,
): Promise<Metric[] | undefined> {
  const metrics: Metric[] = [];
  for (const matrix of second) {
    const size = Math.sqrt(matrix.length);
    let trace = 0;
    for (let i = 0; i < size; i++) trace += matrix[i * size + i]!;
    if (!(trace > 0 && Number.isFinite(trace))) return undefined;
    const metric = await damped(matrix, trace / size, damping, matrices);
    if (metric === undefined) return undefined;
    metrics.push(metric);
  }
  return metrics;
}

async function damped(
  matrix: Float64Array,
  mean: number,
  least: number,
  matrices: MatrixEngine | undefined,
): Promise<Metric | undefined> {
  const size = Math.sqrt(matrix.length);
  for (let damping = least; damping <= 1; damping *= 10) {
    const raised = matrix.slice();
    for (let i = 0; i < size; i++) raised[i * size + i]! += mean * damping;
    const metric = await metricBy(raised, size, matrices);
    if (metric !== undefined) return metric;
  }
  return undefined;
}
