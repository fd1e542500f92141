/** What ONNX Runtime computes while it loads a model, before it asks any provider what it takes. */
import type { Graph, Node, Value } from '../ir/graph.js';
import { isDequantize } from './provider.js';

interface Known {
  readonly version: number;
  readonly folded: ReadonlySet<Node>;
}

const known = { kept: new WeakMap<Graph, Known>(), folded: new WeakMap<Graph, Known>() };

/**
 * Nodes of a graph that compute from constants, and from sizes that are fixed, alone: Constant nodes become
 * initializers, the others are folded. What is random or carries subgraphs is not.
 * @param dequantized whether DequantizeLinear of constants is folded, too: it is not, unless a session asks for it
 */
export function foldedNodes(graph: Graph, dequantized = false): ReadonlySet<Node> {
  const cache = dequantized ? known.folded : known.kept;
  const found = cache.get(graph);
  if (found?.version === graph.version) return found.folded;
  const folded = new Set<Node>();
  const isKnown = (value: Value | undefined): boolean =>
    value === undefined || value.isConstant || (value.producer !== undefined && folded.has(value.producer));
  for (const node of graph.nodes()) {
    if (node.subgraphs.length > 0 || RANDOM.test(node.opType)) continue;
    if (!dequantized && isDequantize(node)) continue;
    if (asksFixedSize(node) || node.inputs.every(isKnown)) folded.add(node);
  }
  cache.set(graph, { version: graph.version, folded });
  return folded;
}

/** A constant, or what a session that folds DequantizeLinear makes one. */
export const constantAtLoad = (value: Value | undefined): boolean =>
  value !== undefined &&
  (value.isConstant ||
    (value.producer !== undefined && foldedNodes(value.producer.graph, true).has(value.producer)));

const RANDOM = /^Random|^Bernoulli$|^Multinomial$/;

const asksFixedSize = (node: Node): boolean =>
  (node.is('Shape') || node.is('Size')) &&
  node.inputs[0]?.shape?.every((dim) => typeof dim === 'number') === true;
