/**
 * Weights that count least become 0, before anything is quantized: by magnitude, by magnitude times the size of what they
 * are multiplied with (Wanda), or with the others making up for them (SparseGPT). Grids of integers hold 0 exactly, so
 * that zeros stay zeros. ONNX Runtime has no kernels for sparse weights: what is gained is bytes once the file is
 * compressed, as downloads are.
 */
import {
  definePass,
  denseFact,
  limitsOf,
  type Model,
  type Node,
  type PassContext,
  type PruneChoice,
  protectedNodes,
  prunedByLimits,
  prunedByPattern,
  pruneFact,
  pruningLoss,
  QuantcError,
  setConstant,
  Tensor,
} from '../src/index.js';
import { compensated } from './prune-weights/compensate.js';
import { type PrunableLayer, prunableLayers } from './prune-weights/layers.js';
import { normsOf } from './prune-weights/norms.js';

/** Weights that are held in memory until the file is written, where they are not derived from those that were. */
const MOST_WEIGHTS = 1 << 27;

export const pruneWeights = definePass({
  name: 'prune-weights',
  doc: 'weights of convolutions and products that count least → 0, a share of them or so many of every few',
  needs: ['typed'],
  async run(model, context) {
    const choice = pruneFact.find(context);
    if (choice === undefined) return;
    const { method } = choice;
    const dense = new Set(
      protectedNodes(model, denseFact.find(context) ?? [], hasWeight).map(({ node }) => node),
    );
    const found = prunableLayers(model, dense, context).filter((layer) => allFinite(layer, context));
    if (method === 'magnitude') {
      for (const layer of found) derive(layer, choice, undefined, context);
    } else {
      if (context.engine.watch === undefined) {
        throw new QuantcError(
          'E_CALIBRATION_MISSING',
          `${method} prunes by what weights are multiplied with in calibration data`,
          {
            kind: 'usage',
            hint: 'Give data with --calib, or prune by magnitude.',
          },
        );
      }
      const seen = found.filter((layer) => isSeen(layer, model, context));
      if (method === 'wanda') {
        const norms = await normsOf(model, seen, context);
        for (const layer of seen) derive(layer, choice, norms.get(layer), context);
      } else await compensate(model, seen, choice, context);
    }
    context.ledger.note(
      'info',
      'pruned',
      'ONNX Runtime computes with pruned weights as with any others: the file is smaller once it is compressed, and no faster',
      this.name,
    );
  },
});

const hasWeight = (node: Node): boolean =>
  /^(Conv|MatMul|Gemm)$/.test(node.opType) && node.inputs[1]?.isConstant === true;

function allFinite({ tensor, readers }: PrunableLayer, context: PassContext): boolean {
  if (tensor.toFloat32().every(Number.isFinite)) return true;
  context.decline('not all of its weights are finite', readers[0]!.node);
  return false;
}

function isSeen({ readers }: PrunableLayer, model: Model, context: PassContext): boolean {
  if (readers.every(({ node }) => node.graph === model.graph)) return true;
  context.decline('inside a subgraph, whose inputs no run over samples shows', readers[0]!.node);
  return false;
}

/** The weight as one derived from what it was: nothing is held but where pruning ends. */
function derive(
  layer: PrunableLayer,
  { sparsity }: PruneChoice,
  norms: Float64Array | undefined,
  context: PassContext,
): void {
  const { tensor, rows, size, groups, taps, turned } = layer;
  const matrix = { rows, size, groups, taps, turned };
  const before = tensor.toFloat32();
  let prune: (values: Float32Array) => Float32Array;
  if (sparsity.kind === 'share') {
    const limits = limitsOf(before, matrix, sparsity.share, norms);
    prune = (values) => prunedByLimits(values, matrix, limits, norms);
  } else prune = (values) => prunedByPattern(values, matrix, sparsity, norms);
  const after = prune(before);
  const derived = Tensor.derive('float', tensor.shape, [tensor], ([source]) => prune(source!.toFloat32()), {
    name: tensor.name,
  });
  put(layer, before, after, derived, norms, context);
}

async function compensate(
  model: Model,
  layers: readonly PrunableLayer[],
  choice: PruneChoice,
  context: PassContext,
): Promise<void> {
  const weights = layers.reduce((sum, { tensor }) => sum + tensor.count, 0);
  if (weights > MOST_WEIGHTS) {
    throw new QuantcError('E_PRUNE_SIZE', `${weights} weights are too many to move all together`, {
      hint: 'Choose wanda or magnitude, which hold nothing in memory.',
    });
  }
  const found: [PrunableLayer, Float32Array][] = [];
  await compensated(model, layers, choice, context, (layer, values) => found.push([layer, values]));
  for (const [layer, values] of found) {
    const { tensor } = layer;
    const moved = Tensor.of('float', tensor.shape, values, { name: tensor.name });
    put(layer, tensor.toFloat32(), values, moved, undefined, context);
  }
}

/** Takes the weight over where it has lost anything, and tells what. */
function put(
  layer: PrunableLayer,
  before: Float32Array,
  after: Float32Array,
  tensor: Tensor,
  norms: Float64Array | undefined,
  context: PassContext,
): void {
  const [{ node }] = layer.readers as [PrunableLayer['readers'][number]];
  if (before.every((value, at) => value === after[at])) {
    context.decline('its rows are too short to lose anything, or zeros already', node);
    return;
  }
  setConstant(layer.weight, tensor);
  const loss = pruningLoss(before, after, layer, norms);
  for (const { node: reader } of layer.readers) context.ledger.record(reader, loss);
  context.changed(`${(100 * loss.sparsity).toFixed(1)} % of its weights are 0`, node);
}
