/** Names of values: each is the only one of its kind among the main graph and all that is nested in it. */
import type { Graph, Value } from './graph.js';
import { open, touch } from './link.js';
import { rootOf } from './scope.js';
import { valuesOf } from './walk.js';

interface Register {
  /** By name, the value that was seen to bear it, where it was not only wished for. */
  readonly taken: Map<string, Value | undefined>;
  /** The last number that was tried behind a wish: what was taken stays taken. */
  readonly tried: Map<string, number>;
}

const registers = new WeakMap<Graph, Register>();

/** The names around a graph, collected when the first new one is wished for and kept from then on. */
function registerOf(root: Graph): Register {
  let register = registers.get(root);
  if (register === undefined) {
    register = { taken: new Map(), tried: new Map() };
    for (const graph of root.withSubgraphs()) {
      for (const value of valuesOf(graph)) register.taken.set(value.name, value);
    }
    registers.set(root, register);
  }
  return register;
}

/** A name near the wish that no value around the graph has, nested graphs included. It counts as taken from now on. */
export function freshName(graph: Graph, wish: string): string {
  const { taken, tried } = registerOf(rootOf(graph));
  let name = wish;
  if (taken.has(wish)) {
    let count = tried.get(wish) ?? 0;
    do name = `${wish}_${++count}`;
    while (taken.has(name));
    tried.set(wish, count);
  }
  taken.set(name, undefined);
  return name;
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

/** Makes the names of a graph that is about to come under `root` unique there. */
export function adoptNames(graph: Graph, root: Graph): void {
  const register = registerOf(root);
  for (const inner of graph.withSubgraphs()) {
    for (const value of valuesOf(inner)) {
      const bearer = register.taken.get(value.name);
      // A graph that comes back, wrapped in another one, finds its own names taken by itself.
      if (bearer === value) continue;
      if (register.taken.has(value.name)) open(value).name = freshName(root, value.name);
      register.taken.set(value.name, value);
    }
  }
}
