import {
  constantOf,
  createNode,
  definePass,
  isStatic,
  type Node,
  removeNode,
  replaceAllUses,
  sameDim,
  setType,
  type Value,
} from '../src/index.js';

const SKIP = {
  LayerNormalization: 'SkipLayerNormalization',
  SimplifiedLayerNormalization: 'SkipSimplifiedLayerNormalization',
} as const;

/**
 * The residual sum and the normalization behind it, read once. Where the sum is read elsewhere too (as the next
 * residual always is), the operator gives it as its fourth output.
 */
export const fuseSkipNormalization = definePass({
  name: 'fuse-skip-normalization',
  doc: 'Normalization(x + skip) → com.microsoft.Skip…Normalization(x, skip), with the sum as an extra output',
  needs: ['typed'],
  run(model, { changed, decline }) {
    for (const graph of model.graphs()) {
      for (const node of graph.nodes()) {
        if (!(node.is('LayerNormalization') || node.is('SimplifiedLayerNormalization'))) continue;
        const sum = node.inputs[0]?.producer;
        if (!sum?.is('Add') || sum.graph !== graph) continue;
        const reason = obstacle(node, sum);
        if (reason !== undefined) {
          decline(reason, node);
          continue;
        }
        changed(`takes the sum ${sum.label} in`, node);
        emit(node, sum);
        if (!model.opsets.has('com.microsoft')) model.opsets.set('com.microsoft', 1);
      }
    }
  },
});

function obstacle(node: Node, sum: Node): string | undefined {
  const [one, other] = sum.inputs as [Value, Value];
  const whole = sum.outputs[0]!;
  if (constantOf(one) !== undefined || constantOf(other) !== undefined)
    return 'it adds a constant, no residual';
  const rank = whole.shape?.length;
  if (rank !== 3) return `${whole.name} has ${rank ?? 'unknown'} dimensions, not 3`;
  if (whole.dtype !== 'float' && whole.dtype !== 'float16')
    return `${whole.name} is ${whole.dtype ?? 'untyped'}`;
  const axis = node.int('axis', -1);
  if (axis !== -1 && axis !== 2) return `it normalizes from axis ${axis} on`;
  const gamma = node.inputs[1];
  if (gamma?.shape?.length !== 1 || gamma.dtype !== whole.dtype)
    return 'its scale is not one number a channel';
  if (node.outputs.slice(1).some((output) => !output.isOmitted)) return 'its mean or deviation is read';
  for (const each of [one, other])
    if (each.shape?.length !== 3 || !sameDim(each.shape[2], whole.shape![2]))
      return `${each.name} may be broadcast`;
  const sameRows = [0, 1].every((axis) => sameDim(one.shape![axis], other.shape![axis]));
  if (!sameRows && rowsOf(one) !== rowsOf(other)) return `${one.name} and ${other.name} may differ in shape`;
  return isStatic(gamma.shape) ? undefined : 'its scale is of unknown length';
}

const ROW_BY_ROW =
  /^((Skip)?(Simplified)?LayerNormalization|(Bias|Fast|Quick)?Gelu|Relu|Sigmoid|Tanh|Identity|Erf|Softmax|MultiHeadAttention|GroupQueryAttention)$/;

/** The value that says how many rows (all dimensions but the last) another has: one that it was made from row by row. */
function rowsOf(value: Value): Value {
  const made = value.producer;
  if (made === undefined || value.index !== (/^Skip/.test(made.opType) ? value.index : 0)) return value;
  const [first, second] = made.inputs;
  if (ROW_BY_ROW.test(made.opType)) return rowsOf(first!);
  if (made.is('MatMul') && constantOf(second)?.shape.length === 2) return rowsOf(first!);
  if (made.is('MatMulNBits', 'com.microsoft')) return rowsOf(first!);
  if (!(made.is('Add') || made.is('Mul'))) return value;
  if ((constantOf(second)?.shape.length ?? 2) <= 1) return rowsOf(first!);
  if ((constantOf(first)?.shape.length ?? 2) <= 1) return rowsOf(second!);
  const [a, b] = [rowsOf(first!), rowsOf(second!)];
  return a === b ? a : value;
}

/** Put where the sum was, so that what reads the sum still finds it made before; its inputs are there by then. */
function emit(node: Node, sum: Node): void {
  const whole = sum.outputs[0]!;
  const [gamma, beta] = node.inputs.slice(1);
  const simplified = node.is('SimplifiedLayerNormalization');
  const shared = whole.uses.length > 1 || whole.isOutput;
  const epsilon = node.attributes.get('epsilon');
  const made = createNode(
    { before: sum },
    {
      opType: SKIP[node.opType as keyof typeof SKIP],
      domain: 'com.microsoft',
      name: node.name,
      inputs: [...sum.inputs, gamma, ...(simplified || beta === undefined ? [] : [beta])],
      attributes: new Map(epsilon === undefined ? [] : [['epsilon', epsilon]]),
      outputs: [{ name: node.outputs[0]!.name }, ...(shared ? [null, null, { name: whole.name }] : [])],
    },
  );
  const { type } = whole;
  setType(made.outputs[0]!, node.outputs[0]!.type);
  replaceAllUses(node.outputs[0]!, made.outputs[0]!);
  if (shared) {
    setType(made.outputs[3]!, type);
    replaceAllUses(whole, made.outputs[3]!);
  }
  removeNode(node);
  removeNode(sum);
}
