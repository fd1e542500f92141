/** Puts the nodes of one graph into another: a function's body in the place of a call, a branch in the place of an If. */
import type { Attribute } from './attribute.js';
import {
  addGraphOutput,
  addInitializer,
  addInput,
  addSparseInitializer,
  createNode,
  type NodePosition,
  setAttribute,
  setConstant,
} from './edit.js';
import { Graph, type Node, type Value } from './graph.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
const open = <T>(object: T): Mutable<T> => object as Mutable<T>;

export interface InlineOptions {
  /** What an attribute of the enclosing function is bound to; an attribute that nothing is bound to is left out. */
  readonly attribute?: (name: string) => Attribute | undefined;
  /** Put before the names of nodes, so that they tell where they came from. */
  readonly prefix?: string;
  /** Copies the types of inner values. Not right for functions, whose bodies are read with other types at every call. */
  readonly types?: boolean;
}

type Bindings = Map<Value, Value | undefined>;

/**
 * Copies the nodes and constants of `body` to `position`, with its inputs bound to `inputs` (`undefined`, or a missing
 * entry, omits one). What the body reads of the graphs around it is read as before, so `position` must be where those
 * are in scope. `body` itself stays as it is.
 * @returns for each output of the body the value that computes it; `undefined` where it is an omitted input.
 */
export function inlineGraph(
  body: Graph,
  position: NodePosition,
  inputs: readonly (Value | undefined)[],
  options: InlineOptions = {},
): (Value | undefined)[] {
  const anchor = 'before' in position ? position.before : 'after' in position ? position.after : undefined;
  const target = anchor?.graph ?? (position as { endOf: Graph }).endOf;
  const bindings: Bindings = new Map(body.inputs.map((input, index) => [input, inputs[index]]));
  copyConstants(body, target, bindings);
  let place = position;
  for (const node of body.nodes()) {
    const made = copyNode(node, place, bindings, options);
    if ('after' in place) place = { after: made };
  }
  return body.outputs.map((output) => bound(output, bindings));
}

const bound = (value: Value, bindings: Bindings): Value | undefined =>
  bindings.has(value) ? bindings.get(value) : value;

function copyConstants(body: Graph, target: Graph, bindings: Bindings): void {
  for (const value of body.initializers) {
    if (!bindings.has(value)) bindings.set(value, addInitializer(target, value.constant!, value.name));
  }
  for (const [value, sparse] of body.sparse) {
    bindings.set(value, addSparseInitializer(target, sparse, value.name));
  }
}

function copyNode(node: Node, position: NodePosition, bindings: Bindings, options: InlineOptions): Node {
  const attributes = new Map<string, Attribute>();
  for (const [name, attribute] of node.attributes) {
    const actual =
      attribute.kind === 'ref' && options.attribute ? options.attribute(attribute.name) : attribute;
    if (actual !== undefined) attributes.set(name, actual);
  }
  const graphs = [...attributes].filter(([, { kind }]) => kind === 'graph' || kind === 'graphs');
  for (const [name] of graphs) attributes.delete(name);
  const made = createNode(position, {
    opType: node.opType,
    domain: node.domain,
    overload: node.overload,
    name: node.name && `${options.prefix ?? ''}${node.name}`,
    inputs: node.inputs.map((input) => input && bound(input, bindings)),
    attributes,
    outputs: node.outputs.map((output) =>
      output.isOmitted ? null : { name: output.name, type: options.types ? output.type : undefined },
    ),
    extras: node.extras,
  });
  node.outputs.forEach((output, index) => {
    bindings.set(output, made.outputs[index]);
  });
  // Names of inner values are chosen against those around them, so a subgraph is filled once it has its place.
  for (const [name, attribute] of graphs) {
    if (attribute.kind === 'graph') {
      const [empty, fill] = copyGraph(attribute.value, bindings, options);
      setAttribute(made, name, { ...attribute, value: empty });
      fill();
    } else if (attribute.kind === 'graphs') {
      const copies = attribute.value.map((graph) => copyGraph(graph, bindings, options));
      setAttribute(made, name, { ...attribute, value: copies.map(([empty]) => empty) });
      for (const [, fill] of copies) fill();
    }
  }
  return made;
}

/** An empty graph, and what fills it once it hangs on its node. */
function copyGraph(graph: Graph, bindings: Bindings, options: InlineOptions): [Graph, () => void] {
  const copy = new Graph(graph.name);
  open(copy).extras = graph.extras;
  const fill = (): void => {
    for (const input of graph.inputs) {
      const made = addInput(copy, input.name, input.type);
      if (input.constant !== undefined) setConstant(made, input.constant);
      bindings.set(input, made);
    }
    copyConstants(graph, copy, bindings);
    for (const node of graph.nodes()) copyNode(node, { endOf: copy }, bindings, options);
    for (const output of graph.outputs) {
      const value = bound(output, bindings);
      if (value !== undefined) addGraphOutput(copy, value);
    }
  };
  return [copy, fill];
}
