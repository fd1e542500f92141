/**
 * Weight-only quantization: products read weights of 2, 4 or 8 bits in blocks along their inner dimension, and tables of
 * embeddings are stored alike.
 *   MatMul(A, W) [+ b], Gemm(A, W, b)  →  com.microsoft.MatMulNBits(A, W_q, s, z, b)      W[k, n] ≈ (W_q − z) · s
 *   Gather(T, i)                       →  com.microsoft.GatherBlockQuantized(T_q, i, s, z)
 * or, for executors that want ai.onnx alone, MatMul(A, DequantizeLinear(W_q, s, z, block_size)). A table that is also the
 * weight of a product (a language model's head, tied to its embeddings) is stored once.
 */
import {
  createNode,
  definePass,
  exclusionFact,
  functionAround,
  isTransposeOf,
  type Model,
  type Node,
  type PassContext,
  QuantcError,
  removeNode,
  replaceAllUses,
  swapNames,
  type Target,
  type Tensor,
  targetFact,
  type Value,
  type WeightBits,
  type WeightChoice,
  weightBitsFact,
  weightFact,
} from '../src/index.js';
import { insertDequantize } from './quantize-weights-nbits/dequantize.js';
import { givenGridOf, packGiven, planGiven } from './quantize-weights-nbits/given.js';
import {
  blockSizeFor,
  type Plan,
  type PlannedProduct,
  planProduct,
  planTable,
  planWith,
  precisionOf,
  tableBits,
} from './quantize-weights-nbits/plan.js';
import {
  biasBehind,
  type Product,
  productOf,
  type Table,
  tableOf,
} from './quantize-weights-nbits/products.js';
import { type Rounded, roundedWeights } from './quantize-weights-nbits/rounded.js';
import { StoredWeights } from './quantize-weights-nbits/stored.js';

export const quantizeWeightsNbits = definePass({
  name: 'quantize-weights-nbits',
  doc: 'MatMul, Gemm and Gather with constant weights read them from blocks of 2, 4 or 8 bits; activations stay float',
  needs: ['typed'],
  async run(model, context) {
    const target = targetFact.get(context);
    const choice = weightFact.find(context) ?? { bits: 4 };
    const plan: Plan = {
      target,
      form: formOf(target, choice),
      choice,
      blockSize: blockSizeFor(target, choice),
    };
    const { products, tables } = collect(model, plan, context);
    const tied = plan.form === 'MatMulNBits' ? tiesOf(products, tables) : new Map<Table, PlannedProduct>();
    const storedAs = (tensor: Tensor) =>
      [...tied].find(([, product]) => product.tensor === tensor)?.[0].tensor;
    const given = plan.form === 'MatMulNBits' ? givenAmong(products, context) : (new Map() as Rounded);
    const others = products.filter(({ tensor }) => !given.has(tensor));
    const found =
      plan.form === 'MatMulNBits'
        ? await roundedWeights(model, others, choice, storedAs, context)
        : (new Map() as Rounded);
    const rounded: Rounded = new Map([...found, ...given]);
    const stored = new StoredWeights(model, choice, rounded);
    for (const table of tables) {
      const product = tied.get(table);
      const own = product?.plan ?? plan;
      const bits = product ? own.choice.bits : tableBits(plan);
      const refused = planTable(table.tensor, own, bits);
      if (refused !== undefined) {
        context.ledger.record(table.node, { precision: 'float', reason: refused });
        continue;
      }
      if (product) stored.tie(table.tensor, product.tensor);
      gatherPacked(model, table, bits, own.blockSize, stored, context);
    }
    for (const product of products) {
      if (plan.form === 'MatMulNBits') multiplyPacked(model, product, stored, context);
      else insertDequantize(model, product, product.plan, context);
    }
  },
});

function formOf({ weightOnly, name }: Target, { bits }: WeightChoice) {
  if (weightOnly?.blockSizes[bits] !== undefined) return weightOnly.form;
  throw new QuantcError('E_PRECISION_TARGET', `${name} has no kernel for weights of ${bits} bits`, {
    kind: 'usage',
    hint: 'Choose another --precision, or another target.',
  });
}

/** Every product that shall be quantized, and every table; the ledger tells why other nodes are not. */
function collect(model: Model, plan: Plan, { ledger, facts }: PassContext) {
  const exclude = exclusionFact.find({ facts });
  const assigned = weightBitsFact.find({ facts });
  const products: PlannedProduct[] = [];
  const tables: Table[] = [];
  for (const graph of model.graphs()) {
    for (const node of graph.nodes()) {
      const table = tableOf(node);
      const found = table ? undefined : productOf(node);
      const own = exclude?.(node) === undefined ? assigned?.get(node) : undefined;
      const bits = own?.bits ?? plan.choice.bits;
      // Kept in 16 bits: stored so by the pass behind.
      if (bits === 16) {
        ledger.record(node, { precision: 'float', reason: own!.reason });
        continue;
      }
      const product =
        typeof found === 'object' ? { ...found, plan: planOf(found, plan, bits, facts) } : found;
      const refused =
        exclude?.(node) ?? (typeof product === 'object' ? planProduct(product, product.plan) : product);
      if (refused !== undefined) ledger.record(node, { precision: 'float', reason: refused });
      else if (table) tables.push(table);
      else if (typeof product === 'object') products.push(product);
    }
  }
  return { products, tables };
}

/** The plan of a product: that of the grid it was trained on, else by its bits. */
function planOf(product: Product, plan: Plan, bits: WeightBits, facts: PassContext['facts']): Plan {
  const inner = product.tensor.shape[product.axis]!;
  const grid = plan.form === 'MatMulNBits' ? givenGridOf(product, { facts }) : undefined;
  return (grid && planGiven(plan, grid, inner)) ?? planWith(plan, bits, inner);
}

/** What was trained on a grid is known ahead. */
function givenAmong(products: readonly PlannedProduct[], context: PassContext): Rounded {
  const given: Rounded = new Map();
  for (const product of products) {
    const grid = givenGridOf(product, context);
    if (
      grid === undefined ||
      planGiven(product.plan, grid, product.tensor.shape[product.axis]!) === undefined
    )
      continue;
    given.set(product.tensor, packGiven(product, grid, product.plan));
    context.changed('stored on the grid that it was trained on', product.node);
  }
  return given;
}

/** Which tables are the weights of products, too: the same constant, or its transpose. */
function tiesOf(products: readonly PlannedProduct[], tables: readonly Table[]): Map<Table, PlannedProduct> {
  const ties = new Map<Table, PlannedProduct>();
  for (const table of tables) {
    const product = products.find(({ tensor, axis }) =>
      axis === 1 ? tensor === table.tensor : isTransposeOf(table.tensor, tensor),
    );
    if (product !== undefined) ties.set(table, product);
  }
  return ties;
}

/** Where com.microsoft's operators come to stand, its domain must be imported. */
function importDomain(model: Model, node: Node): void {
  (functionAround(model, node.graph)?.opsets ?? model.opsets).set('com.microsoft', 1);
}

function multiplyPacked(
  model: Model,
  product: PlannedProduct,
  stored: StoredWeights,
  context: PassContext,
): void {
  const { node, tensor, axis } = product;
  const { target, choice, blockSize } = product.plan;
  const inner = tensor.shape[axis]!;
  const columns = tensor.shape[1 - axis]!;
  const { bias, last } = biasBehind(node, columns, tensor.dtype);
  const parts = stored.forProduct(product);
  const packed = createNode(
    { before: node },
    {
      opType: 'MatMulNBits',
      domain: 'com.microsoft',
      name: node.name,
      inputs: trimmed([node.inputs[0], parts.q, parts.scale, parts.zeroPoint, undefined, bias]),
      attributes: {
        K: inner,
        N: columns,
        bits: choice.bits,
        block_size: blockSize,
        accuracy_level: target.weightOnly!.accuracyLevel,
      },
      outputs: [{ name: node.outputs[0]!.name, type: last.outputs[0]!.type }],
    },
  );
  importDomain(model, node);
  const facts = { precision: precisionOf(choice.bits), kernel: 'MatMulNBits' };
  context.ledger.record(node, { ...facts, bytesBefore: tensor.byteLength, bytesAfter: parts.bytes });
  context.changed(`MatMulNBits, ${choice.bits} bits`, node);
  let result = packed.outputs[0]!;
  const rest = node.is('Gemm') && bias === undefined ? node.inputs[2] : undefined;
  if (rest !== undefined) {
    const type = node.outputs[0]!.type;
    result = createNode({ before: node }, { opType: 'Add', inputs: [result, rest], outputs: [{ type }] })
      .outputs[0]!;
  }
  // The proof compares values by their names.
  if (!last.outputs[0]!.isOutput) swapNames(last.outputs[0]!, result);
  replaceAllUses(last.outputs[0]!, result);
  if (last !== node) {
    context.ledger.record(last, { ...facts, reason: `absorbed into ${node.label}` });
    removeNode(last);
  }
  removeNode(node);
}

const trimmed = (inputs: readonly (Value | undefined)[]): (Value | undefined)[] => {
  const last = inputs.findLastIndex((input) => input !== undefined);
  return inputs.slice(0, last + 1);
};

function gatherPacked(
  model: Model,
  { node, table, tensor }: Table,
  bits: WeightBits,
  blockSize: number,
  stored: StoredWeights,
  context: PassContext,
): void {
  const parts = stored.forTable(table, tensor, blockSize, bits);
  const packed = createNode(
    { before: node },
    {
      opType: 'GatherBlockQuantized',
      domain: 'com.microsoft',
      name: node.name,
      inputs: trimmed([parts.q, node.inputs[1], parts.scale, parts.zeroPoint]),
      attributes: { bits, block_size: blockSize, gather_axis: 0, quantize_axis: 1 },
      outputs: [{ name: node.outputs[0]!.name, type: node.outputs[0]!.type }],
    },
  );
  importDomain(model, node);
  context.changed(`GatherBlockQuantized, ${bits} bits`, node);
  context.ledger.record(node, {
    precision: precisionOf(bits),
    kernel: 'GatherBlockQuantized',
    bytesBefore: tensor.byteLength,
    bytesAfter: parts.bytes,
  });
  if (!node.outputs[0]!.isOutput) swapNames(node.outputs[0]!, packed.outputs[0]!);
  replaceAllUses(node.outputs[0]!, packed.outputs[0]!);
  removeNode(node);
}
