/** Which rules hold where: a local function's body imports operator sets of its own and knows no initializers. */
import type { Graph, LocalFunction, Model, Node } from './graph.js';

/** The outermost graph around this one: the main graph or the body of a local function. */
export function rootOf(graph: Graph): Graph {
  let root = graph;
  while (root.owner !== undefined) root = root.owner.graph;
  return root;
}

/** The local function whose body holds this graph; undefined for the main graph and what is nested in it. */
export function functionAround(model: Model, graph: Graph): LocalFunction | undefined {
  const root = rootOf(graph);
  return root === model.graph ? undefined : model.functions.find((each) => each.body === root);
}

/** The opset version of a domain (ai.onnx by default) that a graph's nodes are read by; 0 when it is not imported. */
export function opsetOf(model: Model, graph: Graph, domain = ''): number {
  const opsets = functionAround(model, graph)?.opsets ?? model.opsets;
  return opsets.get(domain) ?? 0;
}

/** True when an attribute of the node stands for one of the enclosing function, so that its value is not known. */
export function readsFunctionAttributes(node: Node): boolean {
  for (const attribute of node.attributes.values()) if (attribute.kind === 'ref') return true;
  return false;
}
