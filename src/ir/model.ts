import type { Attribute } from './attribute.js';
import type { Graph } from './graph.js';

/** A local function: a body whose inputs and outputs are bound by a node of that domain and name. */
export class LocalFunction {
  readonly domain: string;
  readonly name: string;
  readonly overload: string;
  readonly body: Graph;
  /** Names of attributes without a default, then those with one. */
  readonly attributes: readonly string[];
  readonly attributeDefaults: ReadonlyMap<string, Attribute>;
  readonly opsets: Map<string, number>;
  readonly extras?: unknown;

  constructor(options: {
    domain: string;
    name: string;
    overload?: string;
    body: Graph;
    attributes?: readonly string[];
    attributeDefaults?: ReadonlyMap<string, Attribute>;
    opsets?: Map<string, number>;
    extras?: unknown;
  }) {
    this.domain = options.domain === 'ai.onnx' ? '' : options.domain;
    this.name = options.name;
    this.overload = options.overload ?? '';
    this.body = options.body;
    this.attributes = options.attributes ?? [];
    this.attributeDefaults = options.attributeDefaults ?? new Map();
    this.opsets = options.opsets ?? new Map();
    this.extras = options.extras;
  }
}

/** A whole model. */
export class Model {
  irVersion: number;
  /** Version by domain; '' is ai.onnx. */
  readonly opsets: Map<string, number>;
  readonly graph: Graph;
  readonly functions: LocalFunction[] = [];
  /** `metadata_props`. */
  readonly metadata: Map<string, string> = new Map();
  producerName = '';
  producerVersion = '';
  /** The file the model was read from, for messages. */
  file: string | undefined = undefined;
  /** Protobuf fields that the IR does not model (training info, doc string, unknown fields …); kept by the codec. */
  extras?: unknown;

  constructor(graph: Graph, options: { irVersion?: number; opsets?: Map<string, number> } = {}) {
    this.graph = graph;
    this.irVersion = options.irVersion ?? 10;
    this.opsets = options.opsets ?? new Map([['', 21]]);
  }

  /** Opset version of ai.onnx. */
  get opset(): number {
    return this.opsets.get('') ?? 1;
  }

  /** Every graph of the model: main graph, function bodies, and all that is nested in them. */
  *graphs(): IterableIterator<Graph> {
    yield* this.graph.withSubgraphs();
    for (const each of this.functions) yield* each.body.withSubgraphs();
  }
}
