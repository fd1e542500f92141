/**
 * Part of a model as a model of its own, to be put before ONNX Runtime: some nodes, what they read as inputs or
 * constants, what is wanted as outputs. Every value gets a fresh short name, so that nested graphs whose names shadow
 * each other, and anything that a file may call its values, are of no concern; the maps lead back.
 */
import type { Attribute } from '../ir/attribute.js';
import {
  type AttributeParts,
  buildGraph,
  type GraphParts,
  type NodeParts,
  type ValueParts,
} from '../ir/build.js';
import { constantOf } from '../ir/constant.js';
import { valuesRead } from '../ir/edit.js';
import { type Graph, LocalFunction, Model, type Node, type Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { tensorType } from '../ir/type.js';

/** Where the nodes come from: operator versions and local functions by which they are to be understood. */
export interface Origin {
  readonly opsets: ReadonlyMap<string, number>;
  readonly functions: readonly LocalFunction[];
  /** Below IR version 4 initializers must be listed as inputs too, and are constants all the same. */
  readonly irVersion?: number;
  /** What a function's attribute references stand for, when the nodes are a function's body. */
  readonly bindings?: ReadonlyMap<string, Attribute>;
}

export interface ExcerptOptions {
  readonly nodes: Iterable<Node>;
  /** The values that leave, of those that the nodes make. Default: every output of the nodes given. */
  readonly outputs?: readonly Value[];
  /** False for a constant that is to become an input, its bytes left out. Default: all constants stay. */
  readonly keeps?: (tensor: Tensor) => boolean;
  /** Nodes to leave out, with all that need them. */
  readonly without?: ReadonlySet<Node>;
  /**
   * For asking types: nothing leaves but a probe, and every graph has a node that calls a local function. ONNX Runtime
   * puts the function's body in its place, which makes it write each graph anew, its value types included, instead of
   * handing back the bytes that it read.
   */
  readonly probe?: boolean;
}

export interface Excerpt {
  readonly model: Model;
  readonly names: ReadonlyMap<Value, string>;
  /** By the node's name in the excerpt, which ONNX Runtime's messages give. */
  readonly nodes: ReadonlyMap<string, Node>;
}

const IR_VERSION = 10;
const PROBE_DOMAIN = 'quantc.probe';

/** A function without inputs that gives a constant. */
const PROBE = new LocalFunction({
  domain: PROBE_DOMAIN,
  name: 'Probe',
  opsets: new Map([['', 21]]),
  body: buildGraph({
    name: 'Probe',
    inputs: [],
    outputs: [{ name: 'y' }],
    nodes: [
      {
        opType: 'Constant',
        inputs: [],
        outputs: ['y'],
        attributes: [['value_float', { kind: 'float', value: 0 }]],
      },
    ],
  }),
});

/** Cuts out the nodes that can stand: those for which every value read is made inside, constant, or of known type. */
export function excerpt(origin: Origin, options: ExcerptOptions): Excerpt | undefined {
  const cut = new Cut(origin, options);
  return cut.build();
}

class Cut {
  readonly names = new Map<Value, string>();
  readonly nodes = new Map<string, Node>();
  readonly #inputs: ValueParts[] = [];
  readonly #constants: Tensor[] = [];
  #graphs = 0;

  constructor(
    readonly origin: Origin,
    readonly options: ExcerptOptions,
  ) {}

  build(): Excerpt | undefined {
    const included = this.#standing();
    if (included.length === 0) return undefined;
    for (const node of included) this.#define(node);
    const made = included.flatMap((node) => node.outputs.filter((output) => !output.isOmitted));
    const here = new Set(made);
    const wanted = (this.options.outputs ?? made).filter((value) => here.has(value));
    if (wanted.length === 0 && !this.options.probe) return undefined;
    const nodes = included.flatMap((node) => this.#node(node));
    const outputs: ValueParts[] = wanted.map((value) => ({ name: this.names.get(value)! }));
    const opsets = new Map([['', PROBE.opsets.get('')!], ...this.origin.opsets]);
    const functions = [...this.origin.functions];
    if (this.options.probe) {
      const probe = this.#probe();
      nodes.push(probe);
      outputs.push({ name: probe.outputs[0]!, type: tensorType('float', []) });
      opsets.set(PROBE_DOMAIN, 1);
      functions.push(PROBE);
    }
    const parts = { name: 'excerpt', inputs: this.#inputs, initializers: this.#constants, outputs, nodes };
    const model = new Model(buildGraph(parts), { irVersion: IR_VERSION, opsets });
    model.functions.push(...functions);
    return { model, names: this.names, nodes: this.nodes };
  }

  #probe(): NodeParts {
    const output = `probe${this.#graphs++}`;
    return { domain: PROBE_DOMAIN, opType: PROBE.name, inputs: [], outputs: [output] };
  }

  /** The nodes whose every need is met. They come in topological order, so one sweep tells. */
  #standing(): Node[] {
    const made = new Set<Value>();
    const included: Node[] = [];
    for (const node of this.options.nodes) {
      if (this.options.without?.has(node)) continue;
      const inner = new Set(node.subgraphs.flatMap((graph) => [...graph.withSubgraphs()]));
      let stands = true;
      for (const value of valuesRead(node)) {
        if (made.has(value) || inner.has(value.graph)) continue;
        if (constantOf(value) !== undefined || value.type !== undefined) continue;
        stands = false;
        break;
      }
      if (!stands) continue;
      included.push(node);
      for (const output of node.outputs) made.add(output);
    }
    return included;
  }

  #define(node: Node): void {
    for (const output of node.outputs) if (!output.isOmitted) this.#name(output);
    for (const graph of node.subgraphs) {
      for (const input of graph.inputs) this.#name(input);
      for (const each of graph.nodes()) this.#define(each);
    }
  }

  #name(value: Value): string {
    const name = `v${this.names.size}`;
    this.names.set(value, name);
    return name;
  }

  /** Name of a value that is read; one from outside becomes an input or a constant of the excerpt. */
  #read(value: Value | undefined): string {
    if (value === undefined) return '';
    const known = this.names.get(value);
    if (known !== undefined) return known;
    const name = this.#name(value);
    const constant = this.#constantOf(value);
    if (constant !== undefined) this.#constant(name, constant);
    else this.#inputs.push({ name, type: value.type });
    return name;
  }

  #constantOf(value: Value): Tensor | undefined {
    if (value.constant !== undefined && (this.origin.irVersion ?? IR_VERSION) < 4) return value.constant;
    return constantOf(value);
  }

  #constant(name: string, tensor: Tensor): void {
    if (this.options.keeps?.(tensor) ?? true) this.#constants.push(tensor.with({ name }));
    else this.#inputs.push({ name, type: tensorType(tensor.dtype, tensor.shape) });
  }

  #node(node: Node): NodeParts[] {
    const tensor = node.is('Constant') ? node.attributes.get('value') : undefined;
    if (tensor?.kind === 'tensor' && !(this.options.keeps?.(tensor.value) ?? true)) {
      // Constant nodes hold weights too; as an input the value keeps its name.
      this.#constant(this.names.get(node.outputs[0]!)!, tensor.value);
      return [];
    }
    const name = `quantc_n${this.nodes.size}`;
    this.nodes.set(name, node);
    const attributes: [string, AttributeParts][] = [];
    for (const [key, attribute] of node.attributes) {
      const bound = attribute.kind === 'ref' ? this.origin.bindings?.get(attribute.name) : attribute;
      // A reference to an attribute that the caller left out stands for the operator's own default.
      if (bound === undefined) continue;
      if (bound.kind === 'graph') attributes.push([key, { kind: 'graph', value: this.#graph(bound.value) }]);
      else if (bound.kind === 'graphs')
        attributes.push([key, { kind: 'graphs', value: bound.value.map((graph) => this.#graph(graph)) }]);
      else attributes.push([key, bound]);
    }
    return [
      {
        name,
        opType: node.opType,
        domain: node.domain,
        overload: node.overload,
        inputs: node.inputs.map((input) => this.#read(input)),
        outputs: node.outputs.map((output) => (output.isOmitted ? '' : this.names.get(output)!)),
        attributes,
      },
    ];
  }

  #graph(graph: Graph): GraphParts {
    const nodes = [...graph.nodes()].flatMap((node) => this.#node(node));
    const inside = new Set(nodes.flatMap((node) => node.outputs));
    for (const input of graph.inputs) inside.add(this.names.get(input)!);
    const outputs = graph.outputs.map((value, index) => {
      const name = this.#read(value);
      if (inside.has(name)) return { name };
      // Constants of the inner graph moved out of it, but what leaves a graph must be made there.
      const bridge = `${name}_out${this.#graphs}_${index}`;
      nodes.push({ opType: 'Identity', inputs: [name], outputs: [bridge] });
      return { name: bridge };
    });
    if (this.options.probe) nodes.push(this.#probe());
    return {
      name: `g${this.#graphs}`,
      inputs: graph.inputs.map((value) => ({ name: this.names.get(value)!, type: value.type })),
      outputs,
      nodes,
    };
  }
}
