/**
 * The one door through which graphs change. Every function here keeps use-def links whole and bumps the version of
 * the graph it touches, so that the pipeline knows what changed.
 */
import { fault } from '../errors/error.js';
import type { Attribute, AttributeInput, SparseTensor } from './attribute.js';
import { type Graph, Node, type Use, Value } from './graph.js';
import { rootOf } from './scope.js';
import { Tensor } from './tensor.js';
import { type Type, tensorType } from './type.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
const open = <T>(object: T): Mutable<T> => object as Mutable<T>;
const list = <T>(items: readonly T[]): T[] => items as T[];

function touch(graph: Graph): void {
  open(graph).version += 1;
}

/** Everything a new node needs; outputs are made by {@link createNode}. */
export interface NodeSpec {
  readonly opType: string;
  readonly domain?: string;
  readonly overload?: string;
  readonly name?: string;
  readonly inputs: readonly (Value | undefined)[];
  readonly attributes?: Readonly<Record<string, AttributeInput | undefined>> | ReadonlyMap<string, Attribute>;
  /** One entry an output: a name wish, a name and type, or null for an omitted output. Default: one output. */
  readonly outputs?: readonly (string | { name?: string; type?: Type } | null)[];
  readonly extras?: unknown;
}

/** Where a new node goes. */
export type NodePosition = { readonly before: Node } | { readonly after: Node } | { readonly endOf: Graph };

/** Makes a node, links it and its fresh output values, and inserts it. Output names are made unique in the model. */
export function createNode(position: NodePosition, spec: NodeSpec): Node {
  const graph =
    'endOf' in position
      ? position.endOf
      : 'before' in position
        ? position.before.graph
        : position.after.graph;
  const node = new Node(graph, spec.domain ?? '', spec.opType, spec.name ?? '');
  open(node).overload = spec.overload ?? '';
  open(node).extras = spec.extras;
  const attributes =
    spec.attributes instanceof Map
      ? spec.attributes
      : new Map(
          Object.entries(spec.attributes ?? {})
            .filter(([, value]) => value !== undefined)
            .map(([key, value]) => [key, toAttribute(value as AttributeInput)]),
        );
  open(node).attributes = attributes;
  for (const attribute of attributes.values()) adopt(node, attribute);
  open(node).outputs = (spec.outputs ?? ['']).map((wish, index) => {
    const named = typeof wish === 'string' ? { name: wish } : wish;
    const value = new Value(
      graph,
      named === null ? '' : freshName(graph, named.name || `${spec.opType.toLowerCase()}_out`),
    );
    open(value).producer = node;
    open(value).index = index;
    open(value).type = named?.type;
    return value;
  });
  open(node).inputs = [...spec.inputs];
  spec.inputs.forEach((input, index) => {
    if (input !== undefined) list(input.uses).push({ node, index });
  });
  link(node, position);
  return node;
}

function adopt(node: Node, attribute: Attribute): void {
  if (attribute.kind === 'graph') open(attribute.value).owner = node;
  else if (attribute.kind === 'graphs') for (const inner of attribute.value) open(inner).owner = node;
}

function link(node: Node, position: NodePosition): void {
  const graph = node.graph;
  let previous: Node | undefined;
  let next: Node | undefined;
  if ('endOf' in position) previous = graph.last;
  else if ('before' in position) [previous, next] = [position.before.previous, position.before];
  else [previous, next] = [position.after, position.after.next];
  open(node).previous = previous;
  open(node).next = next;
  if (previous) open(previous).next = node;
  else open(graph).first = node;
  if (next) open(next).previous = node;
  else open(graph).last = node;
  open(node).attached = true;
  open(graph).nodeCount += 1;
  touch(graph);
}

function unlink(node: Node): void {
  const graph = node.graph;
  if (node.previous) open(node.previous).next = node.next;
  else open(graph).first = node.next;
  if (node.next) open(node.next).previous = node.previous;
  else open(graph).last = node.previous;
  open(node).attached = false;
  open(graph).nodeCount -= 1;
  touch(graph);
}

/** Takes a node out. Its outputs must be unused and must not leave the graph. */
export function removeNode(node: Node): void {
  for (const output of node.outputs) {
    if (output.uses.length > 0 || output.isOutput) {
      fault('F_EDIT_IN_USE', `output ${output.name} of a removed node is still used`, { node: node.label });
    }
  }
  for (const inner of node.subgraphs) for (const each of [...inner.nodesBackwards()]) dropNode(each);
  dropNode(node);
}

function dropNode(node: Node): void {
  for (const inner of node.subgraphs) for (const each of [...inner.nodesBackwards()]) dropNode(each);
  node.inputs.forEach((input, index) => {
    if (input !== undefined) forgetUse(input, node, index);
  });
  open(node).inputs = [];
  unlink(node);
}

function forgetUse(value: Value, node: Node, index: number): void {
  const at = value.uses.findIndex((use) => use.node === node && use.index === index);
  if (at < 0) fault('F_EDIT_USES', `use of ${value.name} was not recorded`, { node: node.label });
  list(value.uses).splice(at, 1);
}

/** Moves a node to another place of the same graph. */
export function moveNode(node: Node, position: NodePosition): void {
  unlink(node);
  link(node, position);
}

/** Sets input `index`; beyond the present inputs the list grows with omitted ones. `undefined` omits it. */
export function setInput(node: Node, index: number, value: Value | undefined): void {
  const inputs = list(node.inputs);
  const before = inputs[index];
  if (before === value && index < inputs.length) return;
  if (before !== undefined) forgetUse(before, node, index);
  while (inputs.length <= index) inputs.push(undefined);
  inputs[index] = value;
  if (value !== undefined) list(value.uses).push({ node, index });
  touch(node.graph);
}

/** Replaces the whole input list. */
export function setInputs(node: Node, values: readonly (Value | undefined)[]): void {
  node.inputs.forEach((input, index) => {
    if (input !== undefined) forgetUse(input, node, index);
  });
  open(node).inputs = [...values];
  values.forEach((input, index) => {
    if (input !== undefined) list(input.uses).push({ node, index });
  });
  touch(node.graph);
}

/** Adds an output at the end of a node's list and returns it. */
export function addOutput(node: Node, name: string, type?: Type): Value {
  const value = new Value(node.graph, freshName(node.graph, name));
  open(value).producer = node;
  open(value).index = node.outputs.length;
  open(value).type = type;
  list(node.outputs).push(value);
  touch(node.graph);
  return value;
}

/** Drops trailing outputs beyond `count`; they must be unused. */
export function truncateOutputs(node: Node, count: number): void {
  for (const output of node.outputs.slice(count)) {
    if (output.uses.length > 0 || output.isOutput)
      fault('F_EDIT_IN_USE', `output ${output.name} is still used`, { node: node.label });
  }
  list(node.outputs).length = Math.min(count, node.outputs.length);
  touch(node.graph);
}

/** Sets or (with `undefined`) removes an attribute. */
export function setAttribute(node: Node, name: string, value: AttributeInput | undefined): void {
  const attributes = node.attributes as Map<string, Attribute>;
  if (value === undefined) attributes.delete(name);
  else {
    const attribute = toAttribute(value);
    attributes.set(name, attribute);
    adopt(node, attribute);
  }
  touch(node.graph);
}

/** Changes what operator the node applies, keeping inputs, outputs and attributes. */
export function setOperator(node: Node, opType: string, domain = ''): void {
  open(node).opType = opType;
  open(node).domain = domain;
  touch(node.graph);
}

/** Sets a node's name; unlike values' names it carries no meaning and need not be unique. */
export function renameNode(node: Node, name: string): void {
  open(node).name = name;
  touch(node.graph);
}

/**
 * Makes every reader of `before` read `after` instead, inner graphs included. When `before` leaves its graph,
 * `after` leaves in its place and takes over its name, so that the model's signature stays; where `after` cannot
 * (it is an input or constant, leaves already, or belongs to an outer graph) an Identity node bridges.
 * `after` inherits the type when it has none.
 */
export function replaceAllUses(before: Value, after: Value): void {
  if (before === after) return;
  if (after.type === undefined) open(after).type = before.type;
  // All at once, not use by use: a constant may have 100,000 readers.
  const moved = before.uses;
  open(before).uses = [];
  for (const use of moved) {
    list(use.node.inputs)[use.index] = after;
    list(after.uses).push(use);
    touch(use.node.graph);
  }
  if (!before.isOutput) return;
  const graph = before.graph;
  const takesOver = after.graph === graph && after.producer !== undefined && !after.isOutput;
  if (takesOver) {
    const name = before.name;
    open(before).name = freshName(graph, `${name}_replaced`);
    open(after).name = name;
    const outputs = list(graph.outputs);
    for (let i = 0; i < outputs.length; i++) if (outputs[i] === before) outputs[i] = after;
    // The declaration of a graph output is the model's signature: type and documentation stay with it.
    open(after).type = before.type ?? after.type;
    open(after).extras = before.extras ?? after.extras;
  } else if (before.producer?.is('Identity') && before.producer.inputs[0] === after) {
    return;
  } else {
    const name = before.name;
    const position: NodePosition = before.producer ? { after: before.producer } : { endOf: graph };
    open(before).name = freshName(graph, `${name}_replaced`);
    const bridge = createNode(position, {
      opType: 'Identity',
      inputs: [after],
      outputs: [{ type: before.type }],
    });
    open(bridge.outputs[0]!).name = name;
    open(bridge.outputs[0]!).extras = before.extras;
    const outputs = list(graph.outputs);
    for (let i = 0; i < outputs.length; i++) if (outputs[i] === before) outputs[i] = bridge.outputs[0]!;
  }
  touch(graph);
}

/** Replaces `node` by values that compute the same outputs, then removes it. One value an output, in order. */
export function replaceNode(node: Node, replacements: readonly (Value | undefined)[]): void {
  node.outputs.forEach((output, index) => {
    const replacement = replacements[index];
    if (replacement !== undefined) replaceAllUses(output, replacement);
  });
  removeNode(node);
}

/** Adds a constant to the graph under a fresh name near the tensor's own (or `name`) and returns its value. */
export function addInitializer(graph: Graph, tensor: Tensor, name?: string): Value {
  const value = new Value(graph, freshName(graph, name || tensor.name || 'constant'));
  open(value).constant = tensor;
  open(value).type = tensorType(tensor.dtype, tensor.shape);
  (graph.initializers as Set<Value>).add(value);
  touch(graph);
  return value;
}

/** Gives an initializer other bytes, dtype or shape. */
export function setConstant(value: Value, tensor: Tensor): void {
  open(value).constant = tensor;
  open(value).type = tensorType(tensor.dtype, tensor.shape);
  (value.graph.initializers as Set<Value>).add(value);
  touch(value.graph);
}

/**
 * Turns an output of a node into an initializer of the same name, readers and all; the node goes when that was its
 * last output. For constants that stood as nodes or were computed ahead.
 */
export function outputToInitializer(output: Value, tensor: Tensor): void {
  const node = output.producer;
  if (node === undefined)
    fault('F_EDIT_PRODUCER', `${output.name} is no output of a node`, { value: output.name });
  const heir = new Value(node.graph, '');
  open(heir).producer = node;
  open(heir).index = output.index;
  list(node.outputs)[output.index] = heir;
  open(output).producer = undefined;
  open(output).index = 0;
  setConstant(output, tensor);
  if (node.outputs.every((each) => each.isOmitted)) removeNode(node);
}

/** Makes an optional output omitted; it must be unused. Trailing omitted outputs are dropped. */
export function omitOutput(output: Value): void {
  const node = output.producer;
  if (node === undefined || output.uses.length > 0 || output.isOutput)
    fault('F_EDIT_IN_USE', `output ${output.name} is still used`, { value: output.name });
  open(output).name = '';
  open(output).type = undefined;
  const outputs = list(node.outputs);
  while (outputs.at(-1)?.isOmitted) outputs.pop();
  touch(node.graph);
}

/** Takes an unused output out of a node's list; later ones move up. For operators whose outputs are counted (If). */
export function removeOutput(output: Value): void {
  const node = output.producer;
  if (node === undefined || output.uses.length > 0 || output.isOutput)
    fault('F_EDIT_IN_USE', `output ${output.name} is still used`, { value: output.name });
  list(node.outputs).splice(output.index, 1);
  node.outputs.forEach((each, index) => {
    open(each).index = index;
  });
  touch(node.graph);
}

/** Takes an unused initializer out of its graph; one that is also a graph input stays an input. */
export function removeInitializer(value: Value): void {
  if (!value.isInput && (value.uses.length > 0 || value.isOutput)) {
    fault('F_EDIT_IN_USE', `initializer ${value.name} is still used`, { value: value.name });
  }
  open(value).constant = undefined;
  (value.graph.initializers as Set<Value>).delete(value);
  (value.graph.sparse as Map<Value, SparseTensor>).delete(value);
  touch(value.graph);
}

/** Adds a graph input. */
export function addInput(graph: Graph, name: string, type?: Type): Value {
  const value = new Value(graph, freshName(graph, name));
  open(value).type = type;
  list(graph.inputs).push(value);
  touch(graph);
  return value;
}

/** Takes an input out of the signature (the value itself stays if it is also an initializer). */
export function removeInput(value: Value): void {
  open(value.graph).inputs = value.graph.inputs.filter((input) => input !== value);
  touch(value.graph);
}

/** Makes a value leave its graph, after the present outputs. */
export function addGraphOutput(graph: Graph, value: Value): void {
  list(graph.outputs).push(value);
  touch(graph);
}

/** Replaces the list of values that leave the graph. */
export function setGraphOutputs(graph: Graph, values: readonly Value[]): void {
  open(graph).outputs = [...values];
  touch(graph);
}

/** States what is known of a value's type. */
export function setType(value: Value, type: Type | undefined): void {
  open(value).type = type;
  touch(value.graph);
}

/** Renames a value; the name is made unique in the model unless it is free. */
export function renameValue(value: Value, name: string): void {
  if (value.name === name) return;
  open(value).name = freshName(value.graph, name);
  touch(value.graph);
}

/** Lets two values of one model exchange their names, as when one is about to replace the other. */
export function swapNames(one: Value, other: Value): void {
  const name = one.name;
  open(one).name = other.name;
  open(other).name = name;
  touch(one.graph);
  if (other.graph !== one.graph) touch(other.graph);
}

/**
 * Puts the nodes of a graph into topological order. Stable: a node moves only behind what it reads, so a sorted graph
 * stays as it is. Returns false on a cycle, and then changes nothing.
 */
export function sortTopologically(graph: Graph): boolean {
  const state = new Map<Node, 'open' | 'placed'>();
  const order: Node[] = [];
  for (const root of graph.nodes()) {
    if (state.has(root)) continue;
    state.set(root, 'open');
    const stack = [{ node: root, needs: valuesRead(root) }];
    while (stack.length > 0) {
      const { node, needs } = stack.at(-1)!;
      let need: Node | undefined;
      for (let step = needs.next(); !step.done; step = needs.next()) {
        const producer = step.value.graph === graph ? step.value.producer : undefined;
        if (producer === undefined || state.get(producer) === 'placed') continue;
        if (state.get(producer) === 'open') return false;
        need = producer;
        break;
      }
      if (need !== undefined) {
        state.set(need, 'open');
        stack.push({ node: need, needs: valuesRead(need) });
      } else {
        state.set(node, 'placed');
        order.push(node);
        stack.pop();
      }
    }
  }
  let at = graph.first;
  let sorted = true;
  for (const node of order) {
    sorted &&= node === at;
    at = at?.next;
  }
  if (!sorted) for (const node of order) moveNode(node, { endOf: graph });
  return true;
}

/** Every value that a node reads: its inputs, and what its subgraphs capture from outside. */
export function* valuesRead(node: Node): IterableIterator<Value> {
  for (const input of node.inputs) if (input !== undefined) yield input;
  for (const inner of node.subgraphs) {
    for (const graph of inner.withSubgraphs()) {
      for (const each of graph.nodes()) for (const input of each.inputs) if (input !== undefined) yield input;
      yield* graph.outputs;
    }
  }
}

/** Turns what an author wrote into a tagged attribute: a number is an int where it is whole. */
export function toAttribute(input: AttributeInput): Attribute {
  if (typeof input === 'number')
    return Number.isInteger(input) ? { kind: 'int', value: input } : { kind: 'float', value: input };
  if (typeof input === 'bigint') return { kind: 'int', value: input };
  if (typeof input === 'boolean') return { kind: 'int', value: input ? 1 : 0 };
  if (typeof input === 'string') return { kind: 'string', value: input };
  if (input instanceof Tensor) return { kind: 'tensor', value: input };
  if (Array.isArray(input)) {
    if (input.some((each) => typeof each === 'string')) return { kind: 'strings', value: input as string[] };
    return (input as number[]).every(Number.isInteger)
      ? { kind: 'ints', value: input as number[] }
      : { kind: 'floats', value: input as number[] };
  }
  return input as Attribute;
}

/** A float attribute, for values that happen to be whole. */
export const floatAttribute = (value: number): Attribute => ({ kind: 'float', value });

const taken = new WeakMap<Graph, Set<string>>();

function namesIn(root: Graph): Set<string> {
  let names = taken.get(root);
  if (names === undefined) {
    names = new Set();
    for (const graph of root.withSubgraphs()) {
      for (const value of valuesOf(graph)) names.add(value.name);
    }
    taken.set(root, names);
  }
  return names;
}

/** Every value that belongs to a graph: inputs, initializers, and the outputs of its nodes. */
export function* valuesOf(graph: Graph): IterableIterator<Value> {
  yield* graph.inputs;
  // A set, because old files give every initializer as an input too, and a hostile one gives a million.
  const inputs = new Set(graph.inputs);
  for (const value of graph.initializers) if (!inputs.has(value)) yield value;
  for (const value of graph.sparse.keys()) if (!inputs.has(value)) yield value;
  for (const node of graph.nodes()) for (const output of node.outputs) if (!output.isOmitted) yield output;
}

/** A name near the wish that no value around the graph has, nested graphs included. */
export function freshName(graph: Graph, wish: string): string {
  const names = namesIn(rootOf(graph));
  let name = wish;
  for (let i = 1; names.has(name); i++) name = `${wish}_${i}`;
  names.add(name);
  return name;
}

export type { Use };
