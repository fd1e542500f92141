/** Parts of a graph that could as well work in the order of axes before a Transpose, and what that would gain. */
import {
  createNode,
  type Graph,
  type Model,
  type Node,
  removeNode,
  replaceAllUses,
  setAttribute,
  setInput,
  setType,
  tensorType,
  type Value,
} from '../../src/index.js';
import {
  compose,
  invert,
  isIdentity,
  type Permutation,
  permutationOf,
  permuted,
  samePermutation,
} from './permutation.js';
import { type Role, roleOf } from './role.js';

/** Nodes that would change their order of axes together: from that behind `Transpose<perm>` to that before it. */
export interface Region {
  readonly graph: Graph;
  readonly perm: Permutation;
  readonly roles: ReadonlyMap<Node, Role>;
  /** Transposes of this very permutation that feed the region. */
  readonly entrances: ReadonlySet<Node>;
}

/**
 * The region behind a Transpose: with `spread`, all nodes connected by values in that order; without, only those whose
 * every input is in it already.
 */
export function regionBehind(transpose: Node, perm: Permutation, opset: number, spread: boolean): Region {
  const { graph } = transpose;
  const roles = new Map<Node, Role>();
  const entrances = new Set<Node>([transpose]);
  const refused = new Set<Node>();
  const waiting: Node[] = [];
  const visit = (node: Node): void => {
    if (node.graph !== graph || roles.has(node) || refused.has(node)) return;
    const role = roleOf(node, perm, opset);
    if (role === undefined) refused.add(node);
    else if (spread || role.carried.every((index) => isInside(node.inputs[index]!))) {
      roles.set(node, role);
      waiting.push(node);
    }
  };
  const isInside = ({ producer, index }: Value): boolean =>
    producer !== undefined &&
    (entrances.has(producer) ||
      isEntrance(producer) ||
      (roles.get(producer)?.emitted.includes(index) ?? false));
  const isEntrance = (node: Node): boolean => {
    const other = node.graph === graph ? permutationOf(node) : undefined;
    return other !== undefined && samePermutation(other, perm);
  };
  const visitReaders = (value: Value): void => {
    for (const use of value.uses) if (use.node.graph === graph && !use.node.is('Transpose')) visit(use.node);
  };
  visitReaders(transpose.outputs[0]!);
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    const role = roles.get(node)!;
    for (const index of role.carried) {
      const { producer, index: output } = node.inputs[index]!;
      if (producer === undefined) continue;
      if (isEntrance(producer)) {
        if (entrances.has(producer)) continue;
        entrances.add(producer);
        if (spread) visitReaders(producer.outputs[0]!);
      } else if (
        spread &&
        producer.graph === graph &&
        roleOf(producer, perm, opset)?.emitted.includes(output)
      ) {
        visit(producer);
      }
    }
    for (const index of role.emitted) visitReaders(node.outputs[index]!);
  }
  return { graph, perm, roles, entrances };
}

/** What surrounds a region: where values come in or go out, and who reads them there. */
class Border {
  /** Values that come in by no Transpose of the permutation, with the places that read them. */
  readonly foreign = new Map<Value, { node: Node; index: number }[]>();
  /** Values of the region that somebody outside reads as they were. */
  readonly exposed = new Set<Value>();
  /** Transposes that read values of the region. */
  readonly exits = new Set<Node>();
  readonly region: Region;

  constructor(region: Region) {
    this.region = region;
    for (const [node, role] of region.roles) {
      for (const index of role.carried) {
        const value = node.inputs[index]!;
        if (this.isInner(value) || (value.producer && region.entrances.has(value.producer))) continue;
        const places = this.foreign.get(value);
        if (places === undefined) this.foreign.set(value, [{ node, index }]);
        else places.push({ node, index });
      }
      for (const index of role.emitted) {
        const value = node.outputs[index]!;
        if (value.isOutput) this.exposed.add(value);
        for (const use of value.uses) {
          if (this.isCarried(use)) continue;
          if (use.node.graph === region.graph && permutationOf(use.node)) this.exits.add(use.node);
          else this.exposed.add(value);
        }
      }
    }
  }

  /** True when a value leaves the region and comes back in through a Transpose: it would be in two orders at once. */
  get isTwisted(): boolean {
    const ways = [...this.region.entrances, ...[...this.foreign.keys()].map((value) => value.producer)];
    return ways.some((way) => way?.is('Transpose') && this.isInner(way.inputs[0]!));
  }

  isInner({ producer, index }: Value): boolean {
    return producer !== undefined && (this.region.roles.get(producer)?.emitted.includes(index) ?? false);
  }

  isCarried(use: { node: Node; index: number }): boolean {
    return this.region.roles.get(use.node)?.carried.includes(use.index) ?? false;
  }

  /** True when nobody but the region reads what this Transpose gives. */
  isOnlyRead(transpose: Node): boolean {
    const output = transpose.outputs[0]!;
    return !output.isOutput && output.uses.every((use) => this.isCarried(use));
  }
}

/** By how many Transposes the graph would shrink by moving the region; 0 also for one that cannot be moved. */
export function gainOf(region: Region): number {
  if (region.roles.size === 0) return 0;
  const border = new Border(region);
  if (border.isTwisted) return 0;
  let gain = 0;
  for (const entrance of region.entrances) if (border.isOnlyRead(entrance)) gain += 1;
  for (const value of border.foreign.keys()) {
    // A Transpose of another permutation takes up the one that is needed.
    const replaced = permutationOf(value.producer) && border.isOnlyRead(value.producer!);
    gain -= replaced ? 0 : 1;
  }
  gain -= border.exposed.size;
  for (const exit of border.exits) {
    if (isIdentity(compose(region.perm, permutationOf(exit)!))) gain += 1;
  }
  return gain;
}

/** Moves the region to the order before its permutation. */
export function moveRegion(model: Model, region: Region): void {
  const { graph, perm, roles, entrances } = region;
  const border = new Border(region);
  for (const value of border.exposed) expose(value, perm, border);
  for (const [value, places] of border.foreign) {
    const before = permutationOf(value.producer);
    const inGraph = value.producer?.graph === graph;
    const source = before && inGraph ? value.producer!.inputs[0]! : value;
    const order = before && inGraph ? compose(before, invert(perm)) : invert(perm);
    const type =
      value.dtype && value.shape ? tensorType(value.dtype, permuted(value.shape, invert(perm))) : undefined;
    const position = inGraph ? { after: value.producer! } : { before: graph.first! };
    const made = createNode(position, {
      opType: 'Transpose',
      inputs: [source],
      attributes: { perm: [...order] },
      outputs: [{ name: `${value.name}_transposed`, type }],
    });
    for (const { node, index } of places) setInput(node, index, made.outputs[0]);
    if (before && inGraph) removeUnread(value.producer!);
  }
  for (const [node, role] of roles) {
    for (const index of role.carried) {
      const { producer } = node.inputs[index]!;
      if (producer && entrances.has(producer)) setInput(node, index, producer.inputs[0]);
    }
  }
  for (const entrance of entrances) removeUnread(entrance);
  for (const [node, role] of roles) {
    role.adapt?.(model);
    for (const index of role.emitted) {
      const value = node.outputs[index]!;
      if (value.dtype && value.shape)
        setType(value, tensorType(value.dtype, permuted(value.shape, invert(perm))));
    }
  }
  for (const exit of border.exits) {
    const order = compose(perm, permutationOf(exit)!);
    if (isIdentity(order)) {
      replaceAllUses(exit.outputs[0]!, exit.inputs[0]!);
      removeNode(exit);
    } else setAttribute(exit, 'perm', order);
  }
}

/** Puts a Transpose behind a value of the region, for those outside who read it as it was. */
function expose(value: Value, perm: Permutation, border: Border): void {
  const stay = value.uses.filter((use) => border.isCarried(use) || border.exits.has(use.node));
  const made = createNode(
    { after: value.producer! },
    {
      opType: 'Transpose',
      inputs: [value],
      attributes: { perm: [...perm] },
      outputs: [{ name: `${value.name}_transposed`, type: value.type }],
    },
  );
  const output = made.outputs[0]!;
  replaceAllUses(value, output);
  setInput(made, 0, value);
  for (const { node, index } of stay) setInput(node, index, value);
}

function removeUnread(node: Node): void {
  const output = node.outputs[0]!;
  if (output.uses.length === 0 && !output.isOutput) removeNode(node);
}
