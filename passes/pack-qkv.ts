import {
  constantOf,
  createNode,
  definePass,
  type Graph,
  type Model,
  type Node,
  setInputs,
  type Tensor,
  type Value,
} from '../src/index.js';
import { discard } from './attention/discard.js';
import { addPacked } from './attention/packed.js';

/**
 * One product reads the tokens once for queries, keys and values. Not where these are to have different precisions:
 * their columns then share a weight. Rotations outside of the operator need queries and keys apart.
 */
export const packQkv = definePass({
  name: 'pack-qkv',
  doc: 'GroupQueryAttention(x·Wq, x·Wk, x·Wv) → GroupQueryAttention(x·[Wq Wk Wv]), columns side by side',
  needs: ['typed'],
  run(model, { changed, decline }) {
    for (const graph of model.graphs()) {
      for (const node of graph.nodes()) {
        if (!node.is('GroupQueryAttention', 'com.microsoft') || node.inputs[1] === undefined) continue;
        const parts = node.inputs.slice(0, 3) as Value[];
        const packed = splitOf(parts) ?? productsOf(parts);
        if (typeof packed === 'string') {
          decline(packed, node);
          continue;
        }
        changed('reads queries, keys and values of one product', node);
        const value = 'whole' in packed ? packed.whole : multiply(model, graph, node, packed);
        const before = parts.map(({ producer }) => producer!);
        setInputs(node, [value, undefined, undefined, ...node.inputs.slice(3)]);
        for (const each of before) discard(each);
      }
    }
  },
});

/** The value that a Split cut into these three, in order. */
function splitOf(parts: readonly Value[]): { whole: Value } | undefined {
  const split = parts[0]!.producer;
  const source = split?.is('Split') ? split.inputs[0] : undefined;
  if (source === undefined || split!.outputs.length !== 3) return undefined;
  if (parts.some((part, at) => part !== split!.outputs[at] || part.uses.length !== 1 || part.isOutput))
    return undefined;
  const axis = split!.int('axis', 0);
  return axis === -1 || axis === (source.shape?.length ?? 0) - 1 ? { whole: source } : undefined;
}

/** Products of one value with three weights; biases of all or of none. */
interface Products {
  readonly data: Value;
  readonly weights: readonly Tensor[];
  readonly biases: readonly Tensor[] | undefined;
  readonly names: readonly string[];
}

function productsOf(parts: readonly Value[]): Products | string {
  const read = parts.map((part) => productOf(part));
  const odd = read.find((each) => typeof each === 'string');
  if (odd !== undefined) return odd;
  const [first, ...rest] = read as OneProduct[];
  if (rest.some(({ data }) => data !== first!.data))
    return 'queries, keys and values are made from different tokens';
  const all = [first!, ...rest];
  if (all.some(({ weight }) => weight.dtype !== first!.weight.dtype)) return 'the weights differ in type';
  const biased = all.filter(({ bias }) => bias !== undefined).length;
  if (biased !== 0 && biased !== all.length) return 'some have a bias and some have none';
  return {
    data: first!.data,
    weights: all.map(({ weight }) => weight),
    biases: biased === 0 ? undefined : all.map(({ bias }) => bias!),
    names: parts.map(({ name }) => name),
  };
}

interface OneProduct {
  readonly data: Value;
  readonly weight: Tensor;
  readonly bias: Tensor | undefined;
}

function productOf(part: Value): OneProduct | string {
  const alone = (value: Value): boolean => value.uses.length === 1 && !value.isOutput;
  if (!alone(part)) return `${part.name} is read elsewhere too`;
  let node = part.producer;
  let bias: Tensor | undefined;
  if (node?.is('Add')) {
    const at = constantOf(node.inputs[1]) ? 1 : 0;
    bias = constantOf(node.inputs[at]);
    if (bias?.shape.length !== 1) return `${part.name} is no product with weights`;
    const product: Value = node.inputs[1 - at]!;
    if (!alone(product)) return `${product.name} is read elsewhere too`;
    node = product.producer;
  }
  const weight = node?.is('MatMul') ? constantOf(node.inputs[1]) : undefined;
  if (node === undefined || weight?.shape.length !== 2) return `${part.name} is no product with weights`;
  if (bias !== undefined && bias.count !== weight.shape[1])
    return `the bias of ${part.name} is not one number a column`;
  return { data: node.inputs[0]!, weight, bias };
}

function multiply(model: Model, graph: Graph, node: Node, { data, weights, biases, names }: Products): Value {
  const weight = addPacked(model, graph, weights, 'qkv_weight');
  const make = (opType: string, inputs: readonly Value[]): Value =>
    createNode({ before: node }, { opType, inputs, outputs: [`${names[0]}_qkv`] }).outputs[0]!;
  const product = make('MatMul', [data, weight]);
  return biases === undefined ? product : make('Add', [product, addPacked(model, graph, biases, 'qkv_bias')]);
}
