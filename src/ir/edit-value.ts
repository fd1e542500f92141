/** Edits of values: who reads them, constants, and what enters and leaves a graph; see `edit.ts`. */
import { fault } from '../errors/error.js';
import type { SparseTensor } from './attribute.js';
import { createNode, removeNode } from './edit-node.js';
import { type Graph, type Node, Value } from './graph.js';
import { addUse, list, type NodePosition, open, requireReadable, touch } from './link.js';
import { freshName } from './names.js';
import type { Tensor } from './tensor.js';
import { type Type, tensorType } from './type.js';

/**
 * Makes every reader of `before` read `after` instead, inner graphs included. When `before` leaves its graph,
 * `after` leaves in its place and takes over its name, so that the model's signature stays; where `after` cannot
 * (it is an input or constant, leaves already, or belongs to an outer graph) an Identity node bridges.
 * `after` inherits the type when it has none. Where `after` is itself made from `before`, set that input again
 * afterwards: it is a reader like any other.
 */
export function replaceAllUses(before: Value, after: Value): void {
  if (before === after) return;
  requireReadable([after]);
  if (after.type === undefined) open(after).type = before.type;
  // All at once, not use by use: a constant may have 100,000 readers.
  const moved = before.uses;
  open(before).uses = [];
  for (const { node, index } of moved) {
    list(node.inputs)[index] = after;
    addUse(after, node, index);
    touch(node.graph);
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
    const maker = after.graph === graph && after.producer ? after.producer : before.producer;
    const position: NodePosition = maker ? { after: maker } : { endOf: graph };
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

/** Gives an initializer other bytes, dtype or shape, or an input a default. */
export function setConstant(value: Value, tensor: Tensor): void {
  if (value.producer !== undefined)
    fault('F_EDIT_PRODUCER', `${value.name} is made by a node: it cannot be constant`, { value: value.name });
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

/** Adds a sparse constant to the graph under a fresh name near `name` and returns its value. */
export function addSparseInitializer(graph: Graph, sparse: SparseTensor, name?: string): Value {
  const value = new Value(graph, freshName(graph, name || sparse.values.name || 'constant'));
  open(value).type = tensorType(sparse.values.dtype, sparse.shape);
  (graph.sparse as Map<Value, SparseTensor>).set(value, sparse);
  touch(graph);
  return value;
}

/** Takes an input out of the signature: an unused one, or one that is an initializer and stays so. */
export function removeInput(value: Value): void {
  if (value.constant === undefined && (value.uses.length > 0 || value.isOutput))
    fault('F_EDIT_IN_USE', `input ${value.name} is still used`, { value: value.name });
  open(value.graph).inputs = value.graph.inputs.filter((input) => input !== value);
  touch(value.graph);
}

/** Makes a value leave its graph, after the present outputs. */
export function addGraphOutput(graph: Graph, value: Value): void {
  requireOwn(graph, value);
  list(graph.outputs).push(value);
  touch(graph);
}

function requireOwn(graph: Graph, value: Value): void {
  if (value.graph !== graph || value.isOmitted) {
    fault(
      'F_EDIT_SCOPE',
      `${value.name || 'an omitted output'} cannot leave a graph that it does not belong to`,
      {
        graph: graph.name,
        value: value.name,
      },
    );
  }
}

/** Replaces the list of values that leave the graph; all of them must be values of it. */
export function setGraphOutputs(graph: Graph, values: readonly Value[]): void {
  for (const value of values) requireOwn(graph, value);
  open(graph).outputs = [...values];
  touch(graph);
}

/** States what is known of a value's type. */
export function setType(value: Value, type: Type | undefined): void {
  open(value).type = type;
  touch(value.graph);
}
