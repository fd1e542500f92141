/**
 * From names to links: what a decoder or parser read, by name, becomes a graph of linked objects. Nodes may come in
 * any order; the verifier says whether the order is topological.
 */
import { QuantcError } from '../errors/error.js';
import type { Attribute, SparseTensor } from './attribute.js';
import { Graph, Node, Value } from './graph.js';
import type { Tensor } from './tensor.js';
import { type Type, tensorType } from './type.js';

export interface ValueParts {
  readonly name: string;
  readonly type?: Type;
  readonly extras?: unknown;
}
export interface NodeParts {
  readonly opType: string;
  readonly domain?: string;
  readonly overload?: string;
  readonly name?: string;
  /** '' stands for an omitted input or output. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: readonly (readonly [string, AttributeParts])[];
  readonly extras?: unknown;
}
/** An attribute whose graphs are still by name. */
export type AttributeParts =
  | Exclude<Attribute, { kind: 'graph' | 'graphs' }>
  | { readonly kind: 'graph'; readonly value: GraphParts; readonly extras?: unknown }
  | { readonly kind: 'graphs'; readonly value: readonly GraphParts[]; readonly extras?: unknown };

export interface GraphParts {
  readonly name: string;
  readonly inputs: readonly ValueParts[];
  readonly outputs: readonly ValueParts[];
  /** Types stated for values inside (`value_info`); entries that name no value are ignored. */
  readonly valueInfo?: readonly ValueParts[];
  /** Constants by their tensor's name. */
  readonly initializers?: readonly Tensor[];
  readonly sparse?: readonly SparseTensor[];
  readonly nodes: readonly NodeParts[];
  readonly extras?: unknown;
}

type Scope = { readonly names: Map<string, Value>; readonly outer?: Scope };
type Mutable<T> = { -readonly [K in keyof T]: T[K] };
const open = <T>(object: T): Mutable<T> => object as Mutable<T>;

const find = (scope: Scope | undefined, name: string): Value | undefined =>
  scope && (scope.names.get(name) ?? find(scope.outer, name));

/**
 * Links a graph.
 * @throws QuantcError E_GRAPH_DUPLICATE when two values of one graph share a name, E_GRAPH_UNDEFINED when a node or
 * graph output reads a name that nothing in scope defines, E_GRAPH_DEPTH when subgraphs nest deeper than 64.
 */
export function buildGraph(parts: GraphParts): Graph {
  return build(parts, undefined, undefined, 0);
}

function build(parts: GraphParts, outer: Scope | undefined, owner: Node | undefined, depth: number): Graph {
  if (depth > 64)
    throw new QuantcError('E_GRAPH_DEPTH', 'subgraphs nest deeper than 64', { place: { graph: parts.name } });
  const graph = new Graph(parts.name);
  open(graph).owner = owner;
  open(graph).extras = parts.extras;
  const scope: Scope = { names: new Map(), outer };
  const define = (name: string): Value => {
    if (scope.names.has(name)) {
      throw new QuantcError('E_GRAPH_DUPLICATE', `two values are named "${name}"`, {
        place: { graph: parts.name, value: name },
      });
    }
    const value = new Value(graph, name);
    scope.names.set(name, value);
    return value;
  };
  for (const input of parts.inputs) {
    const value = define(input.name);
    open(value).type = input.type;
    open(value).extras = input.extras;
    (graph.inputs as Value[]).push(value);
  }
  for (const tensor of parts.initializers ?? []) {
    const existing = scope.names.get(tensor.name);
    // ONNX Runtime writes an initializer twice at times when it saves a graph; the same constant again says nothing new.
    if (existing?.constant && sameConstant(existing.constant, tensor)) continue;
    if (existing?.constant) define(tensor.name);
    const value = existing ?? define(tensor.name);
    open(value).constant = tensor;
    open(value).type ??= tensorType(tensor.dtype, tensor.shape);
    (graph.initializers as Set<Value>).add(value);
  }
  for (const sparse of parts.sparse ?? []) {
    const value = scope.names.get(sparse.values.name) ?? define(sparse.values.name);
    open(value).type ??= tensorType(sparse.values.dtype, sparse.shape);
    (graph.sparse as Map<Value, SparseTensor>).set(value, sparse);
  }
  const nodes = parts.nodes.map((each) => {
    const node = new Node(graph, each.domain ?? '', each.opType, each.name ?? '');
    open(node).overload = each.overload ?? '';
    open(node).extras = each.extras;
    open(node).outputs = each.outputs.map((name, index) => {
      const value = name === '' ? new Value(graph, '') : define(name);
      open(value).producer = node;
      open(value).index = index;
      return value;
    });
    return node;
  });
  for (const info of parts.valueInfo ?? []) {
    const value = scope.names.get(info.name);
    if (value === undefined) continue;
    open(value).type ??= info.type;
    open(value).extras ??= info.extras;
  }
  const inputs = new Set(graph.inputs);
  for (const output of parts.outputs) {
    const value = scope.names.get(output.name);
    if (value === undefined) throw undefinedName(output.name, parts.name, 'graph output');
    if (output.type && !inputs.has(value)) open(value).type = output.type;
    open(value).extras ??= output.extras;
    (graph.outputs as Value[]).push(value);
  }
  nodes.forEach((node, at) => {
    const each = parts.nodes[at]!;
    open(node).inputs = each.inputs.map((name, index) => {
      if (name === '') return undefined;
      const value = find(scope, name);
      if (value === undefined) throw undefinedName(name, parts.name, `node ${node.label}`);
      (value.uses as { node: Node; index: number }[]).push({ node, index });
      return value;
    });
    append(graph, node);
  });
  nodes.forEach((node, at) => {
    const attributes = new Map<string, Attribute>();
    for (const [name, attribute] of parts.nodes[at]!.attributes ?? []) {
      if (attribute.kind === 'graph') {
        attributes.set(name, { ...attribute, value: build(attribute.value, scope, node, depth + 1) });
      } else if (attribute.kind === 'graphs') {
        attributes.set(name, {
          ...attribute,
          value: attribute.value.map((g) => build(g, scope, node, depth + 1)),
        });
      } else attributes.set(name, attribute);
    }
    open(node).attributes = attributes;
  });
  return graph;
}

function sameConstant(a: Tensor, b: Tensor): boolean {
  if (a.dtype !== b.dtype || a.dtype === 'string' || a.shape.join() !== b.shape.join()) return false;
  return Buffer.compare(a.bytes(), b.bytes()) === 0;
}

function append(graph: Graph, node: Node): void {
  open(node).previous = graph.last;
  if (graph.last) open(graph.last).next = node;
  else open(graph).first = node;
  open(graph).last = node;
  open(node).attached = true;
  open(graph).nodeCount += 1;
}

const undefinedName = (name: string, graph: string, reader: string): QuantcError =>
  new QuantcError('E_GRAPH_UNDEFINED', `${reader} reads "${name}", which nothing defines`, {
    place: { graph, value: name },
  });
