/** Which nodes treat every token by itself: what lies between them can be computed for new tokens alone. */
import { constantNumbers, constantOf } from '../ir/constant.js';
import type { Graph, Node, Value } from '../ir/graph.js';

const ELEMENTWISE =
  /^(Add|Sub|Mul|Div|Pow|Max|Min|Where|Equal|Greater|GreaterOrEqual|Less|LessOrEqual|And|Or|Not|Abs|Neg|Exp|Log|Sqrt|Reciprocal|Erf|Sigmoid|Tanh|Relu|LeakyRelu|Elu|Gelu|HardSigmoid|HardSwish|Softplus|Mish|Clip|Cast|Identity|Sin|Cos|Floor|Ceil|Round|Sign|PRelu|QuickGelu|FastGelu|BiasGelu|QuantizeLinear|DequantizeLinear)$/;
const BY_ROW =
  /^(Skip)?(Simplified)?LayerNormalization$|^RMSNormalization$|^MatMulNBits$|^DynamicQuantizeMatMul$/;
const ATTENTION = /^(GroupQueryAttention|RotaryEmbedding)$/;

/** The values that depend on what is fed, not only on its sizes. */
export function fedValues(graph: Graph, inputs: readonly Value[]): Set<Value> {
  const fed = new Set(inputs);
  for (const node of graph.nodes()) {
    if (node.is('Shape')) continue;
    const reads = node.inputs.some((input) => input !== undefined && fed.has(input));
    if (reads || node.subgraphs.length > 0) for (const output of node.outputs) fed.add(output);
  }
  return fed;
}

/** Why a node, whose data are [batch, tokens, …], may mix tokens; undefined where each is treated by itself. */
export function mixingReason(node: Node): string | undefined {
  const { opType, label } = node;
  const data = node.inputs[0];
  const rank = data?.shape?.length;
  if (ELEMENTWISE.test(opType) || BY_ROW.test(opType) || ATTENTION.test(opType)) {
    const axis = /LayerNormalization$|^RMS/.test(opType) ? node.int('axis', -1) : -1;
    return axis === -1 || axis === (rank ?? 0) - 1 ? undefined : `${label} normalizes over tokens`;
  }
  const last = (axis: number | undefined): boolean =>
    axis !== undefined && (axis < 0 ? axis > -(rank ?? 3) + 1 : axis > 1);
  const moved = `${label} (${opType}) reads tokens together`;
  switch (opType) {
    case 'MatMul':
      return constantOf(node.inputs[1])?.shape.length === 2 ? undefined : moved;
    case 'Gather':
      if (constantOf(data) !== undefined && node.int('axis', 0) === 0) return undefined;
      return last(node.int('axis', 0)) ? undefined : moved;
    case 'GatherBlockQuantized':
      return undefined;
    case 'Softmax':
      return last(node.int('axis', -1)) ? undefined : moved;
    case 'Concat':
      return last(node.int('axis', 0)) ? undefined : moved;
    case 'Split':
      return last(node.int('axis', 0)) ? undefined : moved;
    case 'Slice': {
      const axes = constantNumbers(node.inputs[3]);
      return axes?.every(last) ? undefined : moved;
    }
    case 'Unsqueeze':
    case 'Squeeze': {
      const axes = constantNumbers(node.inputs[1]);
      return axes?.every((axis) => axis < 0 || axis > 1) ? undefined : moved;
    }
    case 'Reshape': {
      const target = constantNumbers(node.inputs[1]);
      return target?.[0] === 0 && target[1] === 0 && node.int('allowzero', 0) === 0 ? undefined : moved;
    }
    case 'Transpose': {
      const perm = node.ints('perm');
      return perm?.[0] === 0 && perm[1] === 1 ? undefined : moved;
    }
    default:
      if (/^Reduce/.test(opType)) {
        const axes = constantNumbers(node.inputs[1]) ?? node.ints('axes');
        return axes !== undefined && axes.length > 0 && axes.every(last) ? undefined : moved;
      }
      return moved;
  }
}
