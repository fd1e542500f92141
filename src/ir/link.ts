/** The links that hold a graph together. For the editing functions of `src/ir` alone: all others go through `edit.ts`. */
import { fault } from '../errors/error.js';
import type { Graph, Node, Use, Value } from './graph.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** The same object, to be written to. */
export const open = <T>(object: T): Mutable<T> => object as Mutable<T>;
export const list = <T>(items: readonly T[]): T[] => items as T[];

/** Says that a graph was edited. */
export function touch(graph: Graph): void {
  open(graph).version += 1;
}

/** Where a new node goes. */
export type NodePosition = { readonly before: Node } | { readonly after: Node } | { readonly endOf: Graph };

/** Before every node of a graph: where a node goes that reads constants or inputs alone. */
export const startOf = (graph: Graph): NodePosition =>
  graph.first === undefined ? { endOf: graph } : { before: graph.first };

/** The graph that a position lies in. */
export function positionGraph(position: NodePosition): Graph {
  if ('endOf' in position) return position.endOf;
  return 'before' in position ? position.before.graph : position.after.graph;
}

/** Refuses a position beside a removed node, or in another graph than the one given. */
export function requirePosition(position: NodePosition, graph: Graph): void {
  const anchor = 'before' in position ? position.before : 'after' in position ? position.after : undefined;
  if (positionGraph(position) !== graph || anchor?.attached === false) {
    fault('F_EDIT_POSITION', 'a node cannot stand in another graph or beside a removed node', {
      node: anchor?.label,
      graph: graph.name,
    });
  }
}

/** Refuses to read omitted outputs, which no name stands for. */
export function requireReadable(values: readonly (Value | undefined)[]): void {
  for (const value of values) {
    if (value?.isOmitted) {
      fault('F_EDIT_OMITTED', 'an omitted output cannot be read', { node: value.producer?.label });
    }
  }
}

/** Hangs a node into the list of its graph. */
export function linkNode(node: Node, position: NodePosition): void {
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

/** Takes a node out of the list; it keeps its own links, so that a walk that stands on it finds on. */
export function unlinkNode(node: Node): void {
  const graph = node.graph;
  if (!node.attached) fault('F_EDIT_REMOVED', 'the node was removed before', { node: node.label });
  if (node.previous) open(node.previous).next = node.next;
  else open(graph).first = node.next;
  if (node.next) open(node.next).previous = node.previous;
  else open(graph).last = node.previous;
  open(node).attached = false;
  open(graph).nodeCount -= 1;
  touch(graph);
}

export function addUse(value: Value | undefined, node: Node, index: number): void {
  if (value !== undefined) list(value.uses).push({ node, index });
}

export function forgetUse(value: Value | undefined, node: Node, index: number): void {
  if (value === undefined) return;
  const { uses } = value;
  const isIt = (use: Use | undefined): boolean => use?.node === node && use.index === index;
  // From both ends at once: a constant may have 100,000 readers, and walks take them in order or in reverse.
  let first = 0;
  let last = uses.length - 1;
  while (first < last && !isIt(uses[first]) && !isIt(uses[last])) {
    first += 1;
    last -= 1;
  }
  const at = isIt(uses[first]) ? first : last;
  if (!isIt(uses[at])) fault('F_EDIT_USES', `use of ${value.name} was not recorded`, { node: node.label });
  list(uses).splice(at, 1);
}
