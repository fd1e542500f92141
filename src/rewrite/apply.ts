/** The one place where rewrites change a graph: checks that a match may go, puts the plan in its place, cleans up. */
import { QuantcError } from '../errors/error.js';
import type { AttributeInput } from '../ir/attribute.js';
import { constantOf } from '../ir/constant.js';
import {
  addInitializer,
  createNode,
  moveNode,
  removeInitializer,
  removeNode,
  replaceAllUses,
  swapNames,
  valuesRead,
} from '../ir/edit.js';
import type { Graph, Node, Value } from '../ir/graph.js';
import { Tensor } from '../ir/tensor.js';
import { tensorType } from '../ir/type.js';
import type { Match } from './match.js';
import { type PlannedNode, PlannedValue, plannedAttributes, type ReplacementInput } from './replacement.js';

/** Where new nodes of a match go, and who must step behind them. */
export interface Placement {
  /** The last of the nodes that give the match's roots. */
  readonly anchor: Node;
  /** Readers of roots that lie before the anchor, in order. */
  readonly late: readonly Node[];
}

/** Why the matched nodes cannot be taken out: something else uses what they make. Undefined when they can. */
export function usedOutside(match: Match): string | undefined {
  const inside = new Set(match.nodes.values());
  for (const [pattern, node] of match.nodes) {
    if (pattern.shared) continue;
    for (const output of node.outputs) {
      if (match.roots.includes(output)) continue;
      if (output.isOutput) return `${output.name} leaves the graph`;
      const other = output.uses.find((use) => !inside.has(use.node));
      if (other === undefined) continue;
      const captured = other.node.graph === node.graph ? '' : ', in a subgraph';
      return `${output.name} is also used by ${other.node.label}${captured}`;
    }
  }
  return undefined;
}

/**
 * Where the new nodes can stand: before the last root, with readers of earlier roots moved behind it. A text when
 * that would close a cycle: an outer node lies between one root and what another one needs.
 */
export function place(match: Match): Placement | string {
  const producers = new Set(match.roots.map((root) => root.producer!));
  const [first, anchor] = span(producers);
  // Shared nodes may stay, and then read the replaced roots like any other node.
  const inside = new Set([...match.nodes].filter(([pattern]) => !pattern.shared).map(([, node]) => node));
  const tainted = new Set<Value>(match.roots);
  const late: Node[] = [];
  for (let node = first; node !== anchor.next; node = node.next!) {
    if (inside.has(node) || ![...valuesRead(node)].some((value) => tainted.has(value))) continue;
    late.push(node);
    for (const output of node.outputs) tainted.add(output);
  }
  const cyclic = match.leaves.find((leaf) => tainted.has(leaf));
  if (cyclic !== undefined)
    return `${cyclic.name} depends on another output of the match: a fused node would close a cycle`;
  return { anchor, late };
}

/** The first and the last of some nodes of one graph, found by looking both ways from one of them. */
function span(nodes: ReadonlySet<Node>): [Node, Node] {
  const waiting = new Set(nodes);
  const [start] = waiting;
  waiting.delete(start!);
  let [first, last] = [start!, start!];
  let [back, ahead] = [start!.previous, start!.next];
  while (waiting.size > 0 && (back !== undefined || ahead !== undefined)) {
    if (back !== undefined && waiting.delete(back)) first = back;
    if (ahead !== undefined && waiting.delete(ahead)) last = ahead;
    back = back?.previous;
    ahead = ahead?.next;
  }
  return [first, last];
}

/**
 * Replaces a match. `isFunction`: the graph is a function's body, whose constants must be nodes. Answers with the
 * domains of the new nodes and the node from which a walk goes on: the first new one, or what followed the match.
 */
export function apply(
  match: Match,
  placement: Placement,
  replacements: readonly ReplacementInput[],
  isFunction: boolean,
): { domains: Set<string>; next: Node | undefined } {
  const { anchor } = placement;
  const maker = new Maker(match, anchor, isFunction);
  const values = replacements.map((each) => (each === undefined ? undefined : maker.value(each)));
  let after = anchor;
  for (const node of placement.late) {
    moveNode(node, { after });
    after = node;
  }
  match.roots.forEach((root, index) => {
    const value = values[index];
    if (value === undefined) return;
    // The new value takes over the name; where the root leaves the graph, replaceAllUses sees to it.
    if (!root.isOutput && maker.isNew(value)) swapNames(root, value);
    replaceAllUses(root, value);
  });
  const inside = new Set(match.nodes.values());
  let next = maker.first ?? anchor.next;
  while (next !== undefined && inside.has(next)) next = next.next;
  for (const gone of clean(match, placement)) {
    // A weight made from another one that nobody reads any more is its successor.
    const heir = maker.newConstants.get(gone.name);
    if (heir !== undefined) swapNames(gone, heir);
  }
  return { domains: maker.domains, next };
}

class Maker {
  readonly domains = new Set<string>();
  /** Constants made, by the name that they were to have. */
  readonly newConstants = new Map<string, Value>();
  /** The first node made. */
  first: Node | undefined;
  readonly #match: Match;
  readonly #anchor: Node;
  readonly #isFunction: boolean;
  readonly #nodes = new Map<PlannedNode, Node>();
  readonly #constants: Map<Tensor, Value>;
  readonly #made = new Set<Value>();

  constructor(match: Match, anchor: Node, isFunction: boolean) {
    this.#match = match;
    this.#anchor = anchor;
    this.#isFunction = isFunction;
    this.#constants = new Map(match.constants);
  }

  /** True for an output of a new node that nothing else has taken yet. */
  isNew(value: Value): boolean {
    return this.#made.delete(value);
  }

  value(input: Exclude<ReplacementInput, undefined>): Value {
    if (input instanceof PlannedValue) return this.#node(input.node).outputs[input.index]!;
    if (input instanceof Tensor) return this.#constant(input);
    if (this.#match.roots.includes(input)) {
      throw new QuantcError('E_REWRITE_CYCLE', `a replacement reads ${input.name}, which it replaces`, {
        kind: 'usage',
        place: { node: this.#anchor.label },
      });
    }
    return input;
  }

  #constant(tensor: Tensor): Value {
    const known = this.#constants.get(tensor);
    if (known !== undefined) return known;
    const source = tensor.source.kind === 'derived' ? tensor.source.from[0] : undefined;
    const wish = tensor.name || (source && this.#constants.get(source)?.name) || '';
    const value = this.#isFunction
      ? createNode(
          { before: this.#anchor },
          {
            opType: 'Constant',
            inputs: [],
            attributes: { value: tensor },
            outputs: [{ name: wish, type: tensorType(tensor.dtype, tensor.shape) }],
          },
        ).outputs[0]!
      : addInitializer(this.#anchor.graph, tensor, wish);
    this.#constants.set(tensor, value);
    this.newConstants.set(wish, value);
    return value;
  }

  #node(planned: PlannedNode): Node {
    const known = this.#nodes.get(planned);
    if (known !== undefined) return known;
    const inputs = planned.inputs.map((input) => (input === undefined ? undefined : this.value(input)));
    const node = createNode(
      { before: this.#anchor },
      {
        opType: planned.opType,
        domain: planned.domain,
        name: planned.like?.name ?? this.#anchor.name,
        inputs,
        attributes: Object.fromEntries(plannedAttributes(planned)) as Record<string, AttributeInput>,
        outputs: planned.outputs.map((type) => ({ type })),
        extras: planned.like?.extras,
      },
    );
    this.#nodes.set(planned, node);
    this.first ??= node;
    this.domains.add(planned.domain);
    for (const output of node.outputs) this.#made.add(output);
    return node;
  }
}

const isUnused = (node: Node): boolean =>
  node.outputs.every((output) => output.uses.length === 0 && !output.isOutput);

/**
 * Takes out what the match no longer needs: its nodes, last first, and the constants that only they read. Answers
 * with those constants.
 */
function clean(match: Match, { anchor }: Placement): Value[] {
  const gone: Value[] = [];
  const graph: Graph = anchor.graph;
  const constants = new Set<Value>();
  const left = new Set(match.nodes.values());
  for (let progress = true; progress; ) {
    progress = false;
    for (const node of left) {
      if (!isUnused(node)) continue;
      for (const input of node.inputs) if (input && constantOf(input) !== undefined) constants.add(input);
      removeNode(node);
      left.delete(node);
      progress = true;
    }
  }
  for (const value of constants) {
    if (value.uses.length > 0 || value.isOutput) continue;
    if (value.producer === undefined) removeInitializer(value);
    else if (value.graph === graph) removeNode(value.producer);
    else continue;
    gone.push(value);
  }
  return gone;
}
