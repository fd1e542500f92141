/** Copies of models to take apart: for calibration, comparison, and whatever must not touch the original. */
import type { Attribute } from './attribute.js';
import { Graph, LocalFunction, Model, Node, Value } from './graph.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
const open = <T>(object: T): Mutable<T> => object as Mutable<T>;

/** A copy, and for each value of the original its twin, subgraphs and function bodies included. */
export interface ModelCopy {
  readonly model: Model;
  readonly values: ReadonlyMap<Value, Value>;
}

/**
 * Copies a model's structure. Constants are shared, not copied: they never change. Names, types and everything that
 * the codec keeps go along; the copy's graphs start at version 0.
 */
export function cloneModel(model: Model): ModelCopy {
  const values = new Map<Value, Value>();
  const copy = new Model(cloneGraph(model.graph, undefined, values), {
    irVersion: model.irVersion,
    opsets: new Map(model.opsets),
  });
  for (const each of model.functions) {
    copy.functions.push(
      new LocalFunction({
        ...each,
        attributes: each.attributes,
        opsets: new Map(each.opsets),
        body: cloneGraph(each.body, undefined, values),
      }),
    );
  }
  for (const [key, value] of model.metadata) copy.metadata.set(key, value);
  copy.producerName = model.producerName;
  copy.producerVersion = model.producerVersion;
  copy.file = model.file;
  copy.extras = model.extras;
  return { model: copy, values };
}

function cloneGraph(graph: Graph, owner: Node | undefined, values: Map<Value, Value>): Graph {
  const copy = new Graph(graph.name);
  open(copy).owner = owner;
  open(copy).extras = graph.extras;
  const twin = (value: Value): Value => {
    const known = values.get(value);
    if (known !== undefined) return known;
    const made = new Value(copy, value.name);
    open(made).type = value.type;
    open(made).constant = value.constant;
    open(made).extras = value.extras;
    values.set(value, made);
    return made;
  };
  (copy.inputs as Value[]).push(...graph.inputs.map(twin));
  for (const value of graph.initializers) (copy.initializers as Set<Value>).add(twin(value));
  for (const [value, sparse] of graph.sparse)
    (copy.sparse as Map<Value, typeof sparse>).set(twin(value), sparse);
  // All outputs first: nodes may come in any order, and subgraphs read values of the graphs around them.
  const nodes = [...graph.nodes()].map((node) => {
    const made = new Node(copy, node.domain, node.opType, node.name);
    open(made).overload = node.overload;
    open(made).extras = node.extras;
    open(made).outputs = node.outputs.map((output, index) => {
      const value = output.isOmitted ? new Value(copy, '') : twin(output);
      open(value).producer = made;
      open(value).index = index;
      return value;
    });
    return made;
  });
  [...graph.nodes()].forEach((node, at) => {
    const made = nodes[at]!;
    open(made).inputs = node.inputs.map((input, index) => {
      if (input === undefined) return undefined;
      const value = twin(input);
      (value.uses as { node: Node; index: number }[]).push({ node: made, index });
      return value;
    });
    open(made).previous = nodes[at - 1];
    open(made).next = nodes[at + 1];
    open(made).attached = true;
  });
  open(copy).first = nodes[0];
  open(copy).last = nodes[nodes.length - 1];
  open(copy).nodeCount = nodes.length;
  (copy.outputs as Value[]).push(...graph.outputs.map(twin));
  [...graph.nodes()].forEach((node, at) => {
    const attributes = new Map<string, Attribute>();
    for (const [name, attribute] of node.attributes) {
      if (attribute.kind === 'graph') {
        attributes.set(name, { ...attribute, value: cloneGraph(attribute.value, nodes[at], values) });
      } else if (attribute.kind === 'graphs') {
        const graphs = attribute.value.map((inner) => cloneGraph(inner, nodes[at], values));
        attributes.set(name, { ...attribute, value: graphs });
      } else attributes.set(name, attribute);
    }
    open(nodes[at]!).attributes = attributes;
  });
  return copy;
}
