/** Which nodes are worth putting before ONNX Runtime to learn types. */
import { constantOf } from '../ir/constant.js';
import { valuesRead } from '../ir/edit.js';
import type { Graph, Node, Value } from '../ir/graph.js';
import type { Type } from '../ir/type.js';

type Opsets = ReadonlyMap<string, number>;

/** What each node read when it was last put before ONNX Runtime. While that stays, so does the answer. */
const asked = new WeakMap<Node, string>();

/**
 * The nodes of a graph to infer, in order: those that make a value without a type or full shape, unless they were asked
 * about before and nothing that they read has changed since; and those before them that compute shapes. A node whose
 * subgraph holds such a node counts as one.
 * @param onward take along the nodes behind them that lack a shape, which may follow from theirs.
 */
export function concerned(graph: Graph, opsets: Opsets, onward: boolean): Node[] {
  const needed = new Set<Node>();
  const pending: Node[] = [];
  const follows = (node: Node) =>
    onward && lacking(node) && node.inputs.some((input) => input?.producer && needed.has(input.producer));
  for (const node of graph.nodes()) {
    if (!worthAsking(node, opsets) && !follows(node)) continue;
    needed.add(node);
    pending.push(node);
  }
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    for (const value of valuesRead(at)) {
      const { producer } = value;
      if (producer === undefined || value.graph !== graph || needed.has(producer)) continue;
      if (!mayHoldShape(value)) continue;
      needed.add(producer);
      pending.push(producer);
    }
  }
  return [...graph.nodes()].filter((node) => needed.has(node));
}

/** Notes that these nodes, and those in their subgraphs, were asked about as they now stand. */
export function remember(nodes: Iterable<Node>, opsets: Opsets): void {
  for (const node of nodes) {
    asked.set(node, signatureOf(node, opsets));
    for (const inner of node.subgraphs) remember(inner.nodes(), opsets);
  }
}

function worthAsking(node: Node, opsets: Opsets): boolean {
  if (node.subgraphs.some((graph) => [...graph.nodes()].some((inner) => worthAsking(inner, opsets))))
    return true;
  return lacking(node) && asked.get(node) !== signatureOf(node, opsets);
}

/** True when some output has no type, no rank, or a dimension of which not even a name is known. */
function lacking(node: Node): boolean {
  for (const { type, isOmitted } of node.outputs) {
    if (isOmitted) continue;
    if (type === undefined) return true;
    if (type.kind === 'tensor' && (type.shape === undefined || type.shape.includes(null))) return true;
  }
  return false;
}

const signatureOf = (node: Node, opsets: Opsets): string =>
  `${node.domain}.${node.opType} ${opsets.get(node.domain) ?? 0} ${node.inputs.map(signatureOfValue).join(' ')}`;

function signatureOfValue(value: Value | undefined): string {
  if (value === undefined) return '-';
  return `${constantOf(value) ? 'c' : ''}${textOf(value.type)}`;
}

function textOf(type: Type | undefined): string {
  if (type === undefined) return '?';
  return type.kind === 'tensor' ? `${type.dtype}[${type.shape?.join() ?? '…'}]` : type.kind;
}

/** Integers of rank 0 or 1 may be shapes, or parts of them. */
function mayHoldShape(value: Value): boolean {
  const { type } = value;
  if (type === undefined) return true;
  if (type.kind !== 'tensor') return false;
  return (type.dtype === 'int64' || type.dtype === 'int32') && (type.shape?.length ?? 0) <= 1;
}
