/** The rules of one graph and what is nested in it; see `verify.ts` for the list. */
import type { ErrorPlace } from '../errors/error.js';
import type { Attribute } from './attribute.js';
import { cycleIn } from './cycle.js';
import type { Graph, Node, Value } from './graph.js';

/** One breach of the graph's rules. */
export interface Problem {
  readonly code: string;
  readonly message: string;
  readonly place: ErrorPlace;
}

type Report = (code: string, message: string) => void;

/** Rules of the whole model that a graph's nodes meet. */
export interface Surroundings {
  /** Whether the graph may hold initializers: bodies of functions may not. */
  readonly constants: boolean;
  node(node: Node, problem: Report): void;
  attribute(name: string, attribute: Attribute, problem: Report): void;
}

/** A graph that is being checked, and how far the check has come in it. */
interface Frame {
  readonly graph: Graph;
  readonly outer: Frame | undefined;
  readonly names: Set<string>;
  /** Place of each node in the list; a node reads only what stands before `current`. */
  readonly positions: Map<Node, number>;
  current: number;
  disordered: boolean;
}

/** Checks graphs one after another, and at the end that no value is read from outside of them. */
export class GraphVerifier {
  readonly #problems: Problem[];
  /** For every input of every node: whether a use of a value has claimed it. */
  readonly #claims = new Map<Node, boolean[]>();
  readonly #values: Value[] = [];
  readonly #graphs = new Set<Graph>();

  constructor(problems: Problem[]) {
    this.#problems = problems;
  }

  check(graph: Graph, surroundings: Surroundings): void {
    if (graph.owner !== undefined) this.#report(graph)('E_VERIFY_LINK', `graph ${graph.name} has an owner`);
    this.#graph(graph, undefined, surroundings);
  }

  /** Compares the uses that values record with the inputs that nodes have. */
  finish(): void {
    for (const value of this.#values) {
      for (const { node, index } of value.uses) {
        const claims = this.#claims.get(node);
        const report = this.#report(value.graph, { value: value.name, node: node.label });
        if (claims === undefined) {
          report('E_VERIFY_LINK', `${value.name} records a use by ${node.label}, which is not in the model`);
        } else if (node.inputs[index] !== value) {
          report(
            'E_VERIFY_LINK',
            `${value.name} records a use as input ${index} of ${node.label}, which is not so`,
          );
        } else if (claims[index]) {
          report('E_VERIFY_LINK', `${value.name} records its use as input ${index} of ${node.label} twice`);
        } else claims[index] = true;
      }
    }
    for (const [node, claims] of this.#claims) {
      node.inputs.forEach((input, index) => {
        if (input === undefined || claims[index]) return;
        const message = `input ${index} of ${node.label} is not among the uses of ${input.name}`;
        this.#report(node.graph, { node: node.label, value: input.name })('E_VERIFY_LINK', message);
      });
    }
  }

  #report(graph: Graph, place: ErrorPlace = {}): Report {
    return (code, message) => this.#problems.push({ code, message, place: { graph: graph.name, ...place } });
  }

  #graph(graph: Graph, outer: Frame | undefined, surroundings: Surroundings): void {
    this.#graphs.add(graph);
    const frame: Frame = {
      graph,
      outer,
      names: new Set(),
      positions: new Map(),
      current: 0,
      disordered: false,
    };
    for (const value of graph.inputs) this.#value(value, frame, undefined, 0);
    const inputs = new Set(graph.inputs);
    for (const value of graph.initializers) this.#initializer(value, frame, inputs, surroundings);
    for (const value of graph.sparse.keys()) {
      if (!inputs.has(value) && !graph.initializers.has(value)) this.#value(value, frame, undefined, 0);
    }
    for (const value of graph.inputs) {
      if (value.constant !== undefined && !graph.initializers.has(value)) {
        const message = `input ${value.name} has a constant that is no initializer of the graph`;
        this.#report(graph, { value: value.name })('E_VERIFY_LINK', message);
      }
    }
    this.#list(graph, frame);
    // Not graph.nodes(): a broken list may go round for ever.
    for (const node of frame.positions.keys()) {
      this.#node(node, frame, surroundings);
      frame.current += 1;
    }
    this.#outputs(graph, frame);
    if (frame.disordered) this.#disorder(graph);
  }

  /** The linked list of nodes, and the values that they make. */
  #list(graph: Graph, frame: Frame): void {
    let previous: Node | undefined;
    for (let node = graph.first; node !== undefined; node = node.next) {
      const report = this.#report(graph, { node: node.label });
      if (frame.positions.has(node)) {
        report('E_VERIFY_LINK', `node ${node.label} stands twice in the list of nodes`);
        break;
      }
      frame.positions.set(node, frame.positions.size);
      this.#claims.set(node, new Array(node.inputs.length).fill(false));
      if (node.graph !== graph || !node.attached || node.previous !== previous) {
        report('E_VERIFY_LINK', `node ${node.label} is not linked to its graph and its neighbours`);
      }
      node.outputs.forEach((value, index) => {
        if (value.isOmitted) this.#omitted(value, node, index);
        else this.#value(value, frame, node, index);
      });
      previous = node;
    }
    if (graph.last !== previous || graph.nodeCount !== frame.positions.size) {
      this.#report(graph)(
        'E_VERIFY_LINK',
        `${graph.nodeCount} nodes are counted, ${frame.positions.size} are linked`,
      );
    }
  }

  #omitted(value: Value, node: Node, index: number): void {
    if (value.uses.length > 0 || value.producer !== node || value.index !== index) {
      const message = `output ${index} of ${node.label} is omitted, and yet read or linked elsewhere`;
      this.#report(node.graph, { node: node.label })('E_VERIFY_LINK', message);
    }
  }

  /** Links and name of a value that the graph defines. */
  #value(value: Value, frame: Frame, producer: Node | undefined, index: number): void {
    const { graph } = frame;
    const report = this.#report(graph, { value: value.name, node: producer?.label });
    this.#values.push(value);
    if (value.graph !== graph) report('E_VERIFY_LINK', `value ${value.name} belongs to another graph`);
    if (value.producer !== producer || value.index !== index) {
      report('E_VERIFY_LINK', `value ${value.name} does not know what makes it`);
    }
    if (producer !== undefined && value.constant !== undefined) {
      report('E_VERIFY_LINK', `value ${value.name} is both constant and an output of ${producer.label}`);
    }
    if (value.name === '') report('E_VERIFY_NAME', 'an input or initializer has an empty name');
    for (let at: Frame | undefined = frame; at !== undefined; at = at.outer) {
      if (!at.names.has(value.name)) continue;
      const where = at === frame ? 'the same graph' : `the graph around it (${at.graph.name})`;
      report('E_VERIFY_NAME', `two values are named ${value.name}, the other in ${where}`);
    }
    frame.names.add(value.name);
  }

  #initializer(value: Value, frame: Frame, inputs: ReadonlySet<Value>, surroundings: Surroundings): void {
    const report = this.#report(frame.graph, { value: value.name });
    if (!inputs.has(value)) this.#value(value, frame, undefined, 0);
    if (!surroundings.constants && frame.outer === undefined) {
      report('E_VERIFY_FUNCTION', `the body of a function has an initializer, ${value.name}`);
    }
    const { constant, type } = value;
    if (constant === undefined) report('E_VERIFY_LINK', `initializer ${value.name} has no constant`);
    else if (type !== undefined) {
      const fits =
        type.kind === 'tensor' &&
        type.dtype === constant.dtype &&
        (type.shape === undefined ||
          (type.shape.length === constant.shape.length &&
            type.shape.every((dim, axis) => typeof dim !== 'number' || dim === constant.shape[axis])));
      const what = `${constant.dtype}[${constant.shape}]`;
      if (!fits) report('E_VERIFY_TYPE', `initializer ${value.name} is ${what}, which its type denies`);
    }
  }

  #node(node: Node, frame: Frame, surroundings: Surroundings): void {
    const report = this.#report(node.graph, { node: node.label });
    surroundings.node(node, report);
    for (const value of node.inputs) if (value !== undefined) this.#read(value, frame, node.label, report);
    for (const [name, attribute] of node.attributes) {
      surroundings.attribute(name, attribute, report);
      const graphs =
        attribute.kind === 'graph' ? [attribute.value] : attribute.kind === 'graphs' ? attribute.value : [];
      for (const inner of graphs) {
        if (inner.owner !== node || this.#graphs.has(inner)) {
          report(
            'E_VERIFY_LINK',
            `graph ${inner.name}, attribute ${name}, has another owner or another place`,
          );
        } else this.#graph(inner, frame, surroundings);
      }
    }
  }

  /** What is read must be in scope, and made before the node that reads it or holds the reader. */
  #read(value: Value, frame: Frame, reader: string, report: Report): void {
    let home: Frame | undefined = frame;
    while (home !== undefined && home.graph !== value.graph) home = home.outer;
    const known =
      home !== undefined &&
      (value.producer ? home.positions.has(value.producer) : home.names.has(value.name)) &&
      !value.isOmitted;
    if (!known)
      report('E_VERIFY_SCOPE', `${reader} reads ${value.name || 'an omitted value'}, which is not in scope`);
    else if (value.producer && home!.positions.get(value.producer)! >= home!.current) home!.disordered = true;
  }

  #outputs(graph: Graph, frame: Frame): void {
    for (const value of graph.outputs) {
      const report = this.#report(graph, { value: value.name });
      const own = value.graph === graph && !value.isOmitted && frame.names.has(value.name);
      if (!own) report('E_VERIFY_SCOPE', `output ${value.name} of the graph is no value of it`);
    }
  }

  #disorder(graph: Graph): void {
    const cycle = cycleIn(graph);
    const report = this.#report(graph, { node: cycle.nodes[0]!.label });
    const labels = cycle.nodes.map((node) => node.label);
    if (cycle.closed)
      report('E_VERIFY_CYCLE', `nodes read each other in a circle: ${labels.join(' → ')} → ${labels[0]}`);
    else report('E_VERIFY_ORDER', `${labels[0]} reads what ${labels[1]} makes, which stands behind it`);
  }
}
