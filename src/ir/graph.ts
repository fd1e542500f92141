import { QuantcError } from '../errors/error.js';
import type { Attribute, AttributeValue, SparseTensor } from './attribute.js';
import type { Tensor } from './tensor.js';
import type { Type } from './type.js';

/** One place where a value is read: input `index` of `node`. */
export interface Use {
  readonly node: Node;
  readonly index: number;
}

/**
 * A value of a graph: a graph input, an initializer, or an output of a node. Values are compared by identity; the
 * name is kept for the reader's sake. Fields are changed through `ir/edit` alone.
 */
export class Value {
  /** Empty only for an omitted optional output. */
  readonly name: string;
  readonly type: Type | undefined = undefined;
  readonly producer: Node | undefined = undefined;
  /** Which output of the producer this is; 0 for values without one. */
  readonly index: number = 0;
  /** The constant bytes, for an initializer. */
  readonly constant: Tensor | undefined = undefined;
  readonly uses: readonly Use[] = [];
  /** The graph (main, subgraph or function body) that the value belongs to. */
  readonly graph: Graph;
  /** Protobuf fields that the IR does not model (doc string, metadata …); kept by the codec. */
  readonly extras?: unknown;

  /** @internal Made by `ir/edit` and the codec. */
  constructor(graph: Graph, name: string) {
    this.graph = graph;
    this.name = name;
  }

  /** True when the value leaves its graph. */
  get isOutput(): boolean {
    return holds(this.graph.outputs, this);
  }

  get isInput(): boolean {
    return holds(this.graph.inputs, this);
  }

  /** True when the value is a constant that no caller can override. An initializer that is also a graph input can be. */
  get isConstant(): boolean {
    return this.constant !== undefined && !this.isInput;
  }

  /** True for an omitted optional output. */
  get isOmitted(): boolean {
    return this.name === '';
  }

  /** Shape where the type is a tensor of known rank. */
  get shape() {
    return this.type?.kind === 'tensor' ? this.type.shape : undefined;
  }

  get dtype() {
    return this.type?.kind === 'tensor' ? this.type.dtype : this.constant?.dtype;
  }
}

/** A node: one application of an operator. Fields are changed through `ir/edit` alone. */
export class Node {
  readonly name: string;
  readonly domain: string;
  readonly opType: string;
  readonly overload: string = '';
  /** `undefined` stands for an omitted optional input. */
  readonly inputs: readonly (Value | undefined)[] = [];
  readonly outputs: readonly Value[] = [];
  readonly attributes: ReadonlyMap<string, Attribute> = new Map();
  readonly graph: Graph;
  readonly extras?: unknown;
  /** @internal links of the graph's node list; `attached` is false once removed. */
  readonly previous: Node | undefined = undefined;
  /** @internal */
  readonly next: Node | undefined = undefined;
  readonly attached: boolean = false;

  /** @internal Made by `ir/edit` and the codec. */
  constructor(graph: Graph, domain: string, opType: string, name: string) {
    this.graph = graph;
    this.domain = domain === 'ai.onnx' ? '' : domain;
    this.opType = opType;
    this.name = name;
  }

  /** `true` when the node is this operator; the domain defaults to ai.onnx. */
  is(opType: string, domain = ''): boolean {
    return this.opType === opType && this.domain === domain;
  }

  /** Name for messages: the node's own, or its first output's. */
  get label(): string {
    return this.name || `${this.opType}(${this.outputs.find((output) => !output.isOmitted)?.name ?? ''})`;
  }

  #get<K extends AttributeValue['kind']>(name: string, kind: K): Extract<Attribute, { kind: K }> | undefined {
    const attribute = this.attributes.get(name);
    if (attribute === undefined || attribute.kind === 'ref') return undefined;
    if (attribute.kind !== kind) {
      throw new QuantcError(
        'E_ATTRIBUTE_KIND',
        `attribute ${name} of ${this.opType} is ${attribute.kind}, not ${kind}`,
        {
          place: { node: this.label },
        },
      );
    }
    return attribute as Extract<Attribute, { kind: K }>;
  }

  /** Integer attribute, as a number. @throws QuantcError E_ATTRIBUTE_KIND when the attribute has another kind. */
  int(name: string): number | undefined;
  int(name: string, otherwise: number): number;
  int(name: string, otherwise?: number): number | undefined {
    const value = this.#get(name, 'int')?.value;
    return value === undefined ? otherwise : Number(value);
  }

  ints(name: string): number[] | undefined;
  ints(name: string, otherwise: readonly number[]): number[];
  ints(name: string, otherwise?: readonly number[]): number[] | undefined {
    const value = this.#get(name, 'ints')?.value;
    return value === undefined ? (otherwise ? [...otherwise] : undefined) : value.map(Number);
  }

  float(name: string): number | undefined;
  float(name: string, otherwise: number): number;
  float(name: string, otherwise?: number): number | undefined {
    return this.#get(name, 'float')?.value ?? otherwise;
  }

  floats(name: string): readonly number[] | undefined {
    return this.#get(name, 'floats')?.value;
  }

  string(name: string): string | undefined;
  string(name: string, otherwise: string): string;
  string(name: string, otherwise?: string): string | undefined {
    const value = this.#get(name, 'string')?.value;
    return value === undefined
      ? otherwise
      : typeof value === 'string'
        ? value
        : new TextDecoder().decode(value);
  }

  tensor(name: string): Tensor | undefined {
    return this.#get(name, 'tensor')?.value;
  }

  subgraph(name: string): Graph | undefined {
    return this.#get(name, 'graph')?.value;
  }

  /** Every subgraph that the node carries (If branches, Loop and Scan bodies), in attribute order. */
  get subgraphs(): Graph[] {
    const graphs: Graph[] = [];
    for (const attribute of this.attributes.values()) {
      if (attribute.kind === 'graph') graphs.push(attribute.value);
      else if (attribute.kind === 'graphs') graphs.push(...attribute.value);
    }
    return graphs;
  }
}

/** Members of long lists, counted when they were last asked for; short ones are searched. */
const members = new WeakMap<readonly Value[], { version: number; length: number; set: Set<Value> }>();

function holds(list: readonly Value[], value: Value): boolean {
  if (list.length <= 16) return list.includes(value);
  // Every edit bumps the version; while a graph is being built its lists only grow.
  const { version } = value.graph;
  let known = members.get(list);
  if (known?.version !== version || known.length !== list.length) {
    known = { version, length: list.length, set: new Set(list) };
    members.set(list, known);
  }
  return known.set.has(value);
}

/** A graph: the main one, a subgraph of a node, or the body of a local function. */
export class Graph {
  readonly name: string;
  readonly inputs: readonly Value[] = [];
  readonly outputs: readonly Value[] = [];
  /** Constants by value, in file order. A value may be both input and initializer (a default that callers override). */
  readonly initializers: ReadonlySet<Value> = new Set();
  /** The node that carries this graph, for a subgraph. */
  readonly owner: Node | undefined = undefined;
  /** Grows with every edit; the pipeline compares it to learn what changed. */
  readonly version: number = 0;
  /** Sparse initializers, kept as they came, each with the value that it feeds. */
  readonly sparse: ReadonlyMap<Value, SparseTensor> = new Map();
  readonly extras?: unknown;
  /** @internal */
  readonly first: Node | undefined = undefined;
  /** @internal */
  readonly last: Node | undefined = undefined;
  readonly nodeCount: number = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** The nodes in order. Removing the current node, or inserting around it, while walking is safe. */
  *nodes(): IterableIterator<Node> {
    let node = this.first;
    while (node !== undefined) {
      const following: Node | undefined = node.next;
      yield node;
      // A node removed while we stood on it no longer knows its neighbours: go on from what followed it then.
      node = node.attached ? node.next : attachedFrom(following, 'next');
    }
  }

  /** The nodes from last to first, with the same safety. */
  *nodesBackwards(): IterableIterator<Node> {
    let node = this.last;
    while (node !== undefined) {
      const preceding: Node | undefined = node.previous;
      yield node;
      node = node.attached ? node.previous : attachedFrom(preceding, 'previous');
    }
  }

  /** This graph and every graph nested in it, outermost first. */
  *withSubgraphs(): IterableIterator<Graph> {
    yield this;
    for (const node of this.nodes()) for (const inner of node.subgraphs) yield* inner.withSubgraphs();
  }
}

/** The node itself, or the nearest one in that direction, going by the links that removed nodes keep. */
const attachedFrom = (node: Node | undefined, direction: 'next' | 'previous'): Node | undefined => {
  let candidate = node;
  while (candidate !== undefined && !candidate.attached) candidate = candidate[direction];
  return candidate;
};

export { LocalFunction, Model } from './model.js';
