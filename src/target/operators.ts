/**
 * Which operators an executor has kernels for, where it is not ONNX Runtime's CPU, which has them all: what it lacks
 * falls back to the CPU, and costs a copy there and back.
 */
import type { DType } from '../ir/dtype.js';
import type { Node, Value } from '../ir/graph.js';

/** One line of an executor's table: an operator, and the element types that it has kernels for. */
export interface OperatorRow {
  readonly op: string;
  /** '' is ai.onnx. */
  readonly domain?: string;
  /** Element types of the deciding input; undefined where it does not matter. */
  readonly dtypes?: readonly DType[];
  /** The input that decides; default the first. */
  readonly input?: number;
  /** Element types that the operator may give, where it can be told to give others than it takes. */
  readonly outputs?: readonly DType[];
  /** True when the kernel takes the node, otherwise why not. */
  readonly when?: (node: Node) => true | string;
}

/** An executor beside the CPU. */
export interface ExecutorTable {
  /** Who runs it: ONNX Runtime's execution provider, as its JavaScript packages spell it. */
  readonly provider: 'webgpu';
  readonly operators: readonly OperatorRow[];
  /** Bytes of the largest tensor that every device binds in one piece. */
  readonly largestTensor: number;
}

/** True when the executor has a kernel for the node, otherwise the reason why not. */
export function takes(table: ExecutorTable, node: Node): true | string {
  const named = table.operators.filter(({ op, domain = '' }) => node.is(op, domain));
  if (named.length === 0) return `${table.provider} has no kernel for ${node.opType}`;
  let reason: true | string = true;
  for (const row of named) {
    reason = answer(table.provider, row, node);
    if (reason === true) return true;
  }
  return reason;
}

function answer(provider: string, row: OperatorRow, node: Node): true | string {
  const given = node.inputs[row.input ?? 0]?.dtype;
  if (row.dtypes !== undefined && (given === undefined || !row.dtypes.includes(given)))
    return `${provider} has no kernel for ${node.opType} of ${given ?? 'an unknown type'}`;
  const made = node.outputs[0]?.dtype;
  if (row.outputs !== undefined && made !== undefined && !row.outputs.includes(made))
    return `${provider} has no kernel for ${node.opType} to ${made}`;
  return row.when?.(node) ?? true;
}

/**
 * The nodes of a graph that compute from constants and from the sizes of values alone, whatever is in them: what
 * exporters emit to make shapes, ranges and masks. Subgraphs are not looked into.
 * @param nodes in graph order
 * @returns for each whether it needs sizes, or constants alone, which ONNX Runtime computes while it loads the model
 */
export function computedFromSizes(nodes: Iterable<Node>): Map<Node, 'sizes' | 'constants'> {
  const found = new Map<Node, 'sizes' | 'constants'>();
  const known = (value: Value | undefined): boolean =>
    value === undefined || value.isConstant || (value.producer !== undefined && found.has(value.producer));
  for (const node of nodes) {
    if (node.subgraphs.length > 0 || /^Random|^Bernoulli$|^Multinomial$/.test(node.opType)) continue;
    const asks = node.is('Shape') || node.is('Size');
    if (!asks && (node.inputs.length === 0 || !node.inputs.every(known))) continue;
    const sized = node.inputs.some((input) => input?.producer && found.get(input.producer) === 'sizes');
    found.set(node, asks || sized ? 'sizes' : 'constants');
  }
  return found;
}
