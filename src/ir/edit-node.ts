/** Edits of nodes; see `edit.ts`. */
import { fault } from '../errors/error.js';
import { type Attribute, type AttributeInput, toAttribute } from './attribute.js';
import { type Graph, Node, Value } from './graph.js';
import {
  addUse,
  forgetUse,
  linkNode,
  list,
  type NodePosition,
  open,
  positionGraph,
  requirePosition,
  requireReadable,
  touch,
  unlinkNode,
} from './link.js';
import { adoptNames, freshName } from './names.js';
import { rootOf } from './scope.js';
import type { Type } from './type.js';

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

/** Makes a node, links it and its fresh output values, and inserts it. Output names are made unique in the model. */
export function createNode(position: NodePosition, spec: NodeSpec): Node {
  const graph = positionGraph(position);
  requirePosition(position, graph);
  requireReadable(spec.inputs);
  const node = new Node(graph, spec.domain ?? '', spec.opType, spec.name ?? '');
  open(node).overload = spec.overload ?? '';
  open(node).extras = spec.extras;
  const attributes =
    spec.attributes instanceof Map
      ? new Map(spec.attributes as ReadonlyMap<string, Attribute>)
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
  linkNode(node, position);
  open(node).inputs = [...spec.inputs];
  for (const [index, input] of spec.inputs.entries()) addUse(input, node, index);
  return node;
}

const graphsOf = (attribute: Attribute | undefined): readonly Graph[] =>
  attribute?.kind === 'graph' ? [attribute.value] : attribute?.kind === 'graphs' ? attribute.value : [];

/** Makes the node the owner of an attribute's graphs, wherever they hung before; the node does not hold them yet. */
function adopt(node: Node, attribute: Attribute): void {
  const root = rootOf(node.graph);
  for (const inner of graphsOf(attribute)) {
    const before = rootOf(inner);
    open(inner).owner = node;
    if (before !== root) adoptNames(inner, root);
  }
}

/** Empties the graphs of an attribute that goes, so that they read nothing; those that hang elsewhere by now stay. */
function disown(node: Node, attribute: Attribute | undefined, kept?: Attribute): void {
  for (const inner of graphsOf(attribute)) {
    if (inner.owner !== node || graphsOf(kept).includes(inner)) continue;
    for (const each of [...inner.nodesBackwards()]) dropNode(each);
  }
}

/** Takes a node out. Its outputs must be unused and must not leave the graph. */
export function removeNode(node: Node): void {
  for (const output of node.outputs) {
    if (output.uses.length > 0 || output.isOutput) {
      fault('F_EDIT_IN_USE', `output ${output.name} of a removed node is still used`, { node: node.label });
    }
  }
  dropNode(node);
}

function dropNode(node: Node): void {
  for (const attribute of node.attributes.values()) disown(node, attribute);
  for (const [index, input] of node.inputs.entries()) forgetUse(input, node, index);
  open(node).inputs = [];
  unlinkNode(node);
}

/** Moves a node to another place of the same graph. */
export function moveNode(node: Node, position: NodePosition): void {
  // Beside itself it would be left hanging.
  if (('before' in position && position.before === node) || ('after' in position && position.after === node))
    return;
  requirePosition(position, node.graph);
  unlinkNode(node);
  linkNode(node, position);
}

/** Sets input `index`; beyond the present inputs the list grows with omitted ones. `undefined` omits it. */
export function setInput(node: Node, index: number, value: Value | undefined): void {
  const inputs = list(node.inputs);
  const before = inputs[index];
  if (before === value && index < inputs.length) return;
  requireReadable([value]);
  forgetUse(before, node, index);
  while (inputs.length <= index) inputs.push(undefined);
  inputs[index] = value;
  addUse(value, node, index);
  touch(node.graph);
}

/** Replaces the whole input list. */
export function setInputs(node: Node, values: readonly (Value | undefined)[]): void {
  requireReadable(values);
  for (const [index, input] of node.inputs.entries()) forgetUse(input, node, index);
  open(node).inputs = [...values];
  for (const [index, input] of values.entries()) addUse(input, node, index);
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

/** Sets or (with `undefined`) removes an attribute. Graphs that it had are emptied, unless another node took them. */
export function setAttribute(node: Node, name: string, value: AttributeInput | undefined): void {
  const attributes = node.attributes as Map<string, Attribute>;
  const attribute = value === undefined ? undefined : toAttribute(value);
  disown(node, attributes.get(name), attribute);
  if (attribute === undefined) attributes.delete(name);
  else {
    adopt(node, attribute);
    attributes.set(name, attribute);
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
