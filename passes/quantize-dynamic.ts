/**
 * Dynamic int8: products with a constant right side read their activations quantized while the model runs.
 *   MatMul(A, W) [+ b]  →  com.microsoft.DynamicQuantizeMatMul(A, W_q, s, z, b)
 * and where several products read the same A, one DynamicQuantizeLinear serves them all:
 *   →  DynamicQuantizeLinear(A) → com.microsoft.MatMulIntegerToFloat(A_q, W_q, s_A, s, z_A, z, b) each.
 */
import {
  addInitializer,
  createNode,
  definePass,
  exclusionFact,
  type Graph,
  knownElements,
  lookUp,
  type Node,
  type PassContext,
  type QuantizedType,
  quantizedWeight,
  removeNode,
  replaceAllUses,
  type Target,
  type TargetRow,
  Tensor,
  targetFact,
  tensorType,
  type Value,
} from '../src/index.js';

export const quantizeDynamic = definePass({
  name: 'quantize-dynamic',
  doc: 'MatMul and Gemm with constant weights become integer products over activations quantized at run time',
  needs: ['typed'],
  run(model, context) {
    const target = targetFact.get(context);
    const exclude = exclusionFact.find(context);
    const rows = target.dynamicRows.filter(({ op }) => op === 'MatMul' || op === 'Gemm');
    const weights: StoredWeights = new Map();
    let used = false;
    for (const graph of model.graphs()) {
      const products = new Map<Value, Product[]>();
      for (const node of graph.nodes()) {
        const excluded = exclude?.(node);
        const verdict = excluded === undefined ? lookUp(rows, node) : { row: undefined, reason: excluded };
        const worth = verdict.row ? worthwhile(node, target) : true;
        if (verdict.row && worth === true) {
          const list = products.get(node.inputs[0]!) ?? [];
          list.push({ node, row: verdict.row, weight: node.inputs[1]! });
          products.set(node.inputs[0]!, list);
        } else {
          const reason = verdict.row ? String(worth) : verdict.reason;
          context.ledger.record(node, { precision: 'float', reason });
        }
      }
      for (const readers of products.values()) {
        rewriteReaders(graph, readers, weights, target, context);
        used = true;
      }
    }
    if (used) model.opsets.set('com.microsoft', 1);
  },
});

interface Product {
  readonly node: Node;
  readonly row: TargetRow;
  readonly weight: Value;
}

/** A quantized weight in the graph that its float one is in. */
interface StoredWeight {
  readonly q: Value;
  readonly scale: Value;
  readonly zeroPoint: Value;
}

/** Weights as [inner, columns] by the value that they were, as they stood and turned: nodes that share one share it. */
type StoredWeights = Map<Value, { plain?: StoredWeight; turned?: StoredWeight }>;

function stored(
  weights: StoredWeights,
  weight: Value,
  turned: boolean,
  { weight: limits }: Target,
): StoredWeight {
  const known = weights.get(weight) ?? {};
  weights.set(weight, known);
  const form = turned ? 'turned' : 'plain';
  let found = known[form];
  if (found === undefined) {
    const tensor = weight.constant!;
    const { q, scale, zeroPoint } = quantizedWeight(turned ? transposed(tensor) : tensor, {
      dtype: limits.dtype as QuantizedType,
      symmetric: true,
      clamp: limits.limit,
      granularity: 'axis',
      axis: 1,
    });
    const add = (part: Tensor, what: string) => addInitializer(weight.graph, part, `${weight.name}_${what}`);
    found = { q: add(q, 'quantized'), scale: add(scale, 'scale'), zeroPoint: add(zeroPoint, 'zero_point') };
    known[form] = found;
  }
  return found;
}

/** The integer product must save more than quantizing its activations costs. */
function worthwhile(node: Node, { costs }: Target): true | string {
  const weight = node.inputs[1]!.constant!;
  const inner = weightIsTransposed(node) ? weight.shape[1]! : weight.shape[0]!;
  const rows = Math.max(1, knownElements(node.inputs[0]) / Math.max(1, inner));
  // Finding the range reads the activation once more than QuantizeLinear alone.
  const saved = rows * weight.count * (costs.floatMac - costs.integerMac);
  const paid = rows * inner * 2 * costs.quantize + costs.node;
  return saved > paid || 'float is faster here: the product is smaller than the cost of quantizing its input';
}

const weightIsTransposed = (node: Node): boolean => node.opType === 'Gemm' && node.int('transB', 0) === 1;

function rewriteReaders(
  graph: Graph,
  readers: readonly Product[],
  weights: StoredWeights,
  target: Target,
  context: PassContext,
): void {
  // Asked for now: the product that gave it may have been rewritten meanwhile.
  const activation = readers[0]!.node.inputs[0]!;
  const shared = readers.length > 1 ? quantizeOnce(graph, activation, readers[0]!.node) : undefined;
  for (const { node, weight } of readers) {
    const { q, scale, zeroPoint } = stored(weights, weight, weightIsTransposed(node), target);
    const { bias, last } = biasBehind(node, q.constant!.shape[1]!);
    const product = createNode(
      { before: node },
      {
        opType: shared ? 'MatMulIntegerToFloat' : 'DynamicQuantizeMatMul',
        domain: 'com.microsoft',
        name: node.name,
        inputs: shared
          ? [shared.q, q, shared.scale, scale, shared.zeroPoint, zeroPoint, bias]
          : [activation, q, scale, zeroPoint, bias],
        outputs: [{ name: node.outputs[0]!.name, type: last.outputs[0]!.type }],
      },
    );
    context.changed(product.opType, node);
    context.ledger.record(node, {
      precision: 'int8-dynamic',
      kernel: product.opType,
      bytesBefore: weight.constant!.byteLength,
      bytesAfter: q.constant!.byteLength,
    });
    let result = product.outputs[0]!;
    const rest = node.opType === 'Gemm' && bias === undefined ? node.inputs[2] : undefined;
    if (rest !== undefined) {
      result = createNode(
        { before: node },
        { opType: 'Add', inputs: [result, rest], outputs: [{ type: node.outputs[0]!.type }] },
      ).outputs[0]!;
    }
    replaceAllUses(last.outputs[0]!, result);
    if (last !== node) {
      const kernel = product.opType;
      context.ledger.record(last, {
        precision: 'int8-dynamic',
        kernel,
        reason: `absorbed into ${node.label}`,
      });
      removeNode(last);
    }
    removeNode(node);
  }
}

/** A constant bias of one element a column, from Gemm's C or from an Add that alone reads a MatMul. */
function biasBehind(node: Node, columns: number): { bias: Value | undefined; last: Node } {
  const fits = (value: Value | undefined): value is Value =>
    value?.isConstant === true && value.constant!.count === columns && value.constant!.shape.length === 1;
  if (node.opType === 'Gemm') return { bias: fits(node.inputs[2]) ? node.inputs[2] : undefined, last: node };
  const output = node.outputs[0]!;
  const add = output.uses[0]?.node;
  if (output.uses.length === 1 && !output.isOutput && add?.is('Add') && add.graph === node.graph) {
    const other = add.inputs.find((input) => input !== output);
    // The kernel stands where the MatMul stood: its bias is a constant, so nothing can come too late.
    if (fits(other)) return { bias: other, last: add };
  }
  return { bias: undefined, last: node };
}

/** The activation quantized once for all its readers, before the first of them. */
function quantizeOnce(
  graph: Graph,
  activation: Value,
  before: Node,
): { q: Value; scale: Value; zeroPoint: Value } {
  const [q, scale, zeroPoint] = createNode(before.graph === graph ? { before } : { endOf: graph }, {
    opType: 'DynamicQuantizeLinear',
    name: `${activation.name}_quantize`,
    inputs: [activation],
    outputs: [
      { name: `${activation.name}_quantized`, type: tensorType('uint8', activation.shape) },
      { name: `${activation.name}_scale`, type: tensorType('float', []) },
      { name: `${activation.name}_zero_point`, type: tensorType('uint8', []) },
    ],
  }).outputs;
  return { q: q!, scale: scale!, zeroPoint: zeroPoint! };
}

/** [rows, columns] → [columns, rows], when somebody asks. */
function transposed(weight: Tensor): Tensor {
  const [rows, columns] = weight.shape as [number, number];
  return Tensor.derive(
    'float',
    [columns, rows],
    [weight],
    ([source]) => {
      const values = source!.toFloat32();
      const result = new Float32Array(values.length);
      for (let r = 0; r < rows; r++)
        for (let c = 0; c < columns; c++) result[c * rows + r] = values[r * columns + c]!;
      return result;
    },
    { name: weight.name },
  );
}
