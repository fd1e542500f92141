/**
 * Second moments of what quantized layers read, over calibration samples: E[x·xᵀ] and E[x] of every column x that a
 * layer's weights are multiplied with. The graph itself computes them: ONNX Runtime is the engine for products of
 * matrices, and nothing but the moments leaves it. Sums over samples are kept in double, in the order of the samples.
 */
import {
  addInitializer,
  cloneModel,
  createNode,
  type GramSum,
  type Graph,
  type MatrixEngine,
  type Model,
  type Node,
  type PassContext,
  setGraphOutputs,
  Tensor,
  type Value,
} from '../../src/index.js';
import { deadCode } from '../dead-code.js';

/** The moments of one reader's input. */
export interface Moments {
  /**
   * E[x·xᵀ] of each part, [part, part], or its diagonal alone: the parts are the layer's groups, cut further where whole
   * matrices would be too large.
   */
  readonly second: readonly Float64Array[];
  /** E[x], part after part. */
  readonly mean: Float64Array;
  /** Columns seen. */
  readonly count: number;
}

/** What reads a layer's input. */
export interface MomentReader {
  readonly node: Node;
  readonly input: Value;
}

/** A layer as far as moments go: rows of `size` weights in each of its groups; a product has no kernel. */
export interface MomentLayer<R extends MomentReader = MomentReader> {
  readonly size: number;
  readonly groups: number;
  readonly kernel: readonly number[];
  readonly readers: readonly R[];
}

/** Largest part: its matrix takes 40 MB, and factoring it some seconds. Larger groups are cut, as if independent. */
const LARGEST_PART = 2304;

/** Parts of a product's input whose moments an engine sums: smaller ones are done in the graph, where they cost little. */
const SUMMED_FROM = 512;

/**
 * Into how many parts the rows of a layer's weight are cut, all groups together; undefined when they cannot be.
 * @param largest rows of a part
 */
export function partsOf({ groups, size, kernel }: MomentLayer, largest = LARGEST_PART): number | undefined {
  const taps = kernel.reduce((product, extent) => product * extent, 1);
  const channels = size / taps;
  for (let cuts = 1; cuts <= channels; cuts++) {
    if (channels % cuts === 0 && size / cuts <= largest) return groups * cuts;
  }
  return undefined;
}

/** Columns that suffice for each of a part's rows, all samples together. */
const COLUMNS_A_ROW = 96;
/** Float32 elements of unfolded columns that one run may make of one input. */
const LARGEST_UNFOLDED = 1 << 23;

/** Where a column is taken from an image: every `stride`-th position along each axis. */
interface Sampled {
  readonly layer: MomentLayer;
  readonly reader: MomentReader;
  readonly parts: number;
  stride: number;
  /** Its x leave the graph, and the engine sums their products. */
  readonly summed: boolean;
  /** The diagonal is enough. */
  readonly diagonal: boolean;
}

/**
 * Runs the model over the first samples and sums the moments of the inputs of all readers of some layers.
 * @param products sums the moments of large products, which may then have parts as large as it has room for
 * @param of whole matrices, or their diagonals, for which no layer is cut
 * @returns in the order of the layers, and of their readers
 */
export async function momentsOf<R extends MomentReader>(
  model: Model,
  layers: readonly MomentLayer<R>[],
  samples: number,
  context: PassContext,
  products?: MatrixEngine,
  of: 'matrix' | 'diagonal' = 'matrix',
): Promise<Map<R, Moments>> {
  const diagonal = of === 'diagonal';
  const wanted: (Sampled & { readonly reader: R })[] = layers.flatMap((layer) => {
    const parts = diagonal ? layer.groups : partsOf(layer, products?.largest)!;
    const rows = (layer.size * layer.groups) / parts;
    const summed = !diagonal && products !== undefined && layer.kernel.length === 0 && rows > SUMMED_FROM;
    return layer.readers.map((reader) => ({ layer, reader, parts, stride: 1, summed, diagonal }));
  });
  await chooseStrides(model, wanted, samples, context);
  const probe = withMoments(model, wanted, context);
  const sums = wanted.map(({ layer, parts, summed }) => {
    const rows = (layer.size * layer.groups) / parts;
    return {
      second: Array.from(
        { length: summed ? 0 : parts },
        () => new Float64Array(diagonal ? rows : rows * rows),
      ),
      grams: Array.from({ length: summed ? parts : 0 }, () => products!.gram(rows)),
      mean: new Float64Array(layer.size * layer.groups),
      count: 0,
    };
  });
  await context.engine.watch!(probe.model, probe.outputs.flat(), samples, async (seen) => {
    for (const [i, sum] of sums.entries()) {
      const [second, first, size] = probe.outputs[i]!.map((value) => seen.get(value)!) as [
        Tensor,
        Tensor,
        Tensor,
      ];
      const values = second.toFloat32();
      sum.second.forEach((matrix, part) => {
        add(matrix, values, part * matrix.length);
      });
      await addColumns(sum.grams, values);
      add(sum.mean, first.toFloat32(), 0);
      sum.count += size.toNumbers()[0]! / sum.mean.length;
    }
  });
  const moments = new Map<R, Moments>();
  for (const [i, { reader }] of wanted.entries()) {
    const { second, grams, mean, count } = sums[i]!;
    for (const gram of grams) second.push(await gram.finish());
    for (const array of [...second, mean]) for (let k = 0; k < array.length; k++) array[k]! /= count;
    moments.set(reader, { second, mean, count });
  }
  return moments;
}

/** @param x [count, size], of which each sum takes an equal part of the columns */
async function addColumns(grams: readonly GramSum[], x: Float32Array): Promise<void> {
  if (grams.length === 1) return grams[0]!.add(x);
  for (const [part, gram] of grams.entries()) {
    const rows = gram.size;
    const own = new Float32Array(x.length / grams.length);
    for (let row = 0, from = part * rows; from < x.length; row++, from += rows * grams.length)
      own.set(x.subarray(from, from + rows), row * rows);
    await gram.add(own);
  }
}

function add(sum: Float64Array, values: Float32Array, offset: number): void {
  for (let k = 0; k < sum.length; k++) sum[k]! += values[offset + k]!;
}

/** Large images show more columns than are of use, and than there is room for: some are passed over. */
async function chooseStrides(
  model: Model,
  wanted: readonly Sampled[],
  samples: number,
  context: PassContext,
): Promise<void> {
  const convolutions = wanted.filter(({ layer }) => layer.kernel.length > 0);
  if (convolutions.length === 0) return;
  const copy = cloneModel(model);
  const shapes = convolutions.map(
    ({ reader }) =>
      createNode(
        { endOf: copy.model.graph },
        { opType: 'Shape', inputs: [copy.values.get(reader.node.outputs[0]!)] },
      ).outputs[0]!,
  );
  leaveOnly(copy.model, shapes, context);
  await context.engine.watch!(copy.model, shapes, 1, (seen) => {
    convolutions.forEach((each, i) => {
      const { layer, parts } = each;
      const positions = seen
        .get(shapes[i]!)!
        .toNumbers()
        .slice(2)
        .reduce((product, dim) => product * dim, 1);
      const all = layer.size * layer.groups;
      const enough = Math.min((COLUMNS_A_ROW * all) / parts / samples, LARGEST_UNFOLDED / all);
      each.stride = Math.max(1, Math.ceil((positions / Math.max(enough, 64)) ** (1 / layer.kernel.length)));
    });
  });
}

/**
 * A copy of the model whose only outputs are, for each reader, Σ x·xᵀ [parts, k, k], Σ x² [parts, k] or x [columns, parts · k], then
 * Σ x [parts, k], and elements of x.
 */
function withMoments(model: Model, wanted: readonly Sampled[], context: PassContext) {
  const copy = cloneModel(model);
  const { graph } = copy.model;
  copy.model.opsets.set('com.microsoft', 1);
  const outputs = wanted.map(({ layer, reader, parts, stride, summed, diagonal }) => {
    const input = copy.values.get(reader.input)!;
    const rows = (layer.size * layer.groups) / parts;
    const columns =
      layer.kernel.length > 0
        ? unfolded(graph, input, layer, reader.node, stride)
        : products(graph, input, layer);
    const x = make(graph, 'Reshape', [columns, ints(graph, [0, parts, rows, -1])]);
    const square = () => make(graph, 'FusedMatMul', [x, x], { transB: 1 }, 'com.microsoft');
    const squares = () =>
      diagonal
        ? make(graph, 'ReduceSumSquare', [x, ints(graph, [0, 3])], { keepdims: 0 })
        : make(graph, 'ReduceSum', [square(), ints(graph, [0])], { keepdims: 0 });
    return [
      summed ? make(graph, 'Reshape', [input, ints(graph, [-1, layer.size])]) : squares(),
      make(graph, 'ReduceSum', [x, ints(graph, [0, 3])], { keepdims: 0 }),
      make(graph, 'Size', [x]),
    ];
  });
  leaveOnly(copy.model, outputs.flat(), context);
  return { model: copy.model, outputs };
}

function make(graph: Graph, opType: string, inputs: readonly Value[], attributes = {}, domain = ''): Value {
  return createNode({ endOf: graph }, { opType, domain, inputs, attributes }).outputs[0]!;
}

const ints = (graph: Graph, values: readonly number[]): Value =>
  addInitializer(graph, Tensor.ints(values), 'ints');

/** [..., k] → [1, k, columns] */
function products(graph: Graph, input: Value, { size }: MomentLayer): Value {
  const rows = make(graph, 'Reshape', [input, ints(graph, [1, -1, size])]);
  return make(graph, 'Transpose', [rows], { perm: [0, 2, 1] });
}

/** The columns that a convolution's kernel sees, by a convolution whose kernels are each a single one. */
function unfolded(graph: Graph, input: Value, layer: MomentLayer, node: Node, stride: number): Value {
  const { kernel, groups } = layer;
  const taps = kernel.reduce((product, extent) => product * extent, 1);
  const channels = (layer.size / taps) * groups;
  const each = kernel.map(() => 1);
  const strides = node.ints('strides', each).map((step) => step * stride);
  const pads = node.ints('pads', [...each, ...each].fill(0));
  if (taps === 1 && strides.every((step) => step === 1) && pads.every((pad) => pad === 0)) return input;
  const ones = new Float32Array(channels * taps * taps);
  for (let c = 0; c < channels; c++) for (let t = 0; t < taps; t++) ones[(c * taps + t) * taps + t] = 1;
  const picks = addInitializer(graph, Tensor.of('float', [channels * taps, 1, ...kernel], ones), 'picks');
  return make(graph, 'Conv', [input, picks], {
    group: channels,
    strides,
    pads,
    dilations: node.ints('dilations', each),
  });
}

function leaveOnly(model: Model, outputs: readonly Value[], context: PassContext): void {
  setGraphOutputs(model.graph, outputs);
  void deadCode.run(model, { ...context, changed: () => {}, decline: () => {} });
}
