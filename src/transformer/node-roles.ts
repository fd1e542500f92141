/** Roles by node, with the layer that each belongs to: for whoever treats weights by what they are there for. */
import type { Graph, Model, Node } from '../ir/graph.js';
import type { Projection } from './projection.js';
import { type Roles, rolesOf } from './roles.js';

/** What a weight is there for. */
export const ROLES = ['q', 'k', 'v', 'o', 'gate', 'up', 'down', 'lm-head', 'embedding'] as const;
export type Role = (typeof ROLES)[number];

/** One role of a node; a product of several has several. */
export interface NodeRole {
  readonly role: Role;
  /** Counted from 0 in the order of the graph; the head and tables belong to none. */
  readonly layer?: number;
  /** First column and the one behind the last, where the product makes others too. */
  readonly columns?: readonly [number, number];
  /** Its columns lie head by head between those of others. */
  readonly perHead?: boolean;
}

/** Every node of a model that has a role, subgraphs and functions included; by structure, never by name. */
export function nodeRoles(model: Model): ReadonlyMap<Node, readonly NodeRole[]> {
  const found = new Map<Node, NodeRole[]>();
  for (const graph of model.graphs()) {
    const roles = rolesOf(graph);
    const layerOf = layersOf(graph, roles);
    const add = (projection: Projection | undefined, role: Role, layer?: number): void => {
      if (projection === undefined) return;
      const { node, columns, perHead, beside = [] } = projection;
      const more = {
        ...(layer !== undefined && { layer }),
        ...(columns && { columns }),
        ...(perHead && { perHead }),
      };
      for (const each of [node, ...beside]) {
        const known = found.get(each) ?? [];
        const entry: NodeRole =
          each === node ? { role, ...more } : { role, ...(layer !== undefined && { layer }) };
        found.set(each, [...known, entry]);
      }
    };
    for (const { node, q, k, v, o } of roles.attentions) {
      const layer = layerOf(node);
      add(q, 'q', layer);
      add(k, 'k', layer);
      add(v, 'v', layer);
      add(o, 'o', layer);
    }
    for (const { gate, up, down } of roles.feedForwards) {
      const layer = layerOf(down.node);
      add(gate, 'gate', layer);
      add(up, 'up', layer);
      add(down, 'down', layer);
    }
    for (const { node } of roles.embeddings) add({ node }, 'embedding');
    if (roles.head !== undefined && !found.has(roles.head)) add({ node: roles.head }, 'lm-head');
  }
  return found;
}

/**
 * Layers of attentions and feed-forwards. Where there are as many of one as of the other they pair up in order (also
 * where both stand side by side); elsewhere each feed-forward ends a layer, as in decoders with two attentions a layer.
 */
function layersOf(graph: Graph, { attentions, feedForwards }: Roles): (node: Node) => number | undefined {
  const layers = new Map<Node, number>();
  const place = new Map<Node, number>();
  for (const node of graph.nodes()) place.set(node, place.size);
  const inOrder = (nodes: readonly Node[]) => nodes.toSorted((a, b) => place.get(a)! - place.get(b)!);
  const own = inOrder(attentions.map(({ node }) => node));
  const ends = inOrder(feedForwards.map(({ down }) => down.node));
  const paired = own.length === ends.length || ends.length === 0;
  for (const [at, node] of ends.entries()) layers.set(node, at);
  for (const [at, node] of own.entries()) {
    const before = ends.filter((end) => place.get(end)! < place.get(node)!).length;
    layers.set(node, paired ? at : before);
  }
  return (node) => layers.get(node);
}

/** `v of layer 3`, `q, k, v of layer 0`, `embedding`. */
export function roleText(roles: readonly NodeRole[]): string {
  const names = [...new Set(roles.map(({ role }) => role))].join(', ');
  const [layer] = new Set(roles.map((each) => each.layer));
  return layer === undefined ? names : `${names} of layer ${layer}`;
}
