/**
 * What a user protects from few bits, in words: `ov`, `ov:int8`, `v+down@0-1`, `layers:0,3`, `*lm_head*`.
 *
 *   protection = what [ "@" layers ] [ ":" ( "fp16" | "int8" ) ]
 *   what       = role { "+" role } | "ov" | "qk" | "qkv" | "qkvo" | "attention" | "ffn" | "layers:" layers | name
 *   layers     = range { "," range },  range = number [ "-" number ], counted from 0; −1 is the last
 *
 * A name is that of a node or of an initializer it reads; * stands for anything.
 */
import { QuantcError } from '../errors/error.js';
import type { Model, Node } from '../ir/graph.js';
import { type NodeRole, nodeRoles, ROLES, type Role } from './node-roles.js';

/** What protected weights are kept in: float16, or 8 bits in whatever form the target has for them. */
export type ProtectedPrecision = 'fp16' | 'int8';

/** One pattern, read. */
export interface Protection {
  /** What the user wrote. */
  readonly text: string;
  readonly precision: ProtectedPrecision;
  readonly roles?: readonly Role[];
  /** Ranges of layers, both ends included; negative ones count from the last. */
  readonly layers?: readonly (readonly [first: number, last: number])[];
  readonly name?: RegExp;
}

/** What becomes of one node. */
export interface ProtectedNode {
  readonly node: Node;
  readonly precision: ProtectedPrecision;
  /** The pattern that says so. */
  readonly text: string;
  /** Roles of the node that the pattern means; all of the node's where it goes by name; none for other nodes. */
  readonly roles: readonly NodeRole[];
  /** False where the node has further roles, which nobody protects. */
  readonly whole: boolean;
}

const SETS: Readonly<Record<string, readonly Role[]>> = {
  ov: ['o', 'v'],
  qk: ['q', 'k'],
  qkv: ['q', 'k', 'v'],
  qkvo: ['q', 'k', 'v', 'o'],
  attention: ['q', 'k', 'v', 'o'],
  ffn: ['gate', 'up', 'down'],
};

/** @throws QuantcError E_PROTECT_SYNTAX for layers that are no numbers, or for nothing at all */
export function parseProtection(text: string): Protection {
  const [, rest = '', precision = 'fp16'] = /^(.*?)(?::(fp16|int8))?$/s.exec(text)!;
  const only = /^layers:(.*)$/s.exec(rest);
  if (only) return { text, precision: precision as ProtectedPrecision, layers: layersOf(only[1]!, text) };
  const [, what = '', layers] = /^(.*?)(?:@([-\d,]+))?$/s.exec(rest)!;
  if (what === '') throw syntax(text, 'it names nothing');
  const common = {
    text,
    precision: precision as ProtectedPrecision,
    ...(layers !== undefined && { layers: layersOf(layers, text) }),
  };
  const parts = what.split('+');
  const roles = parts.flatMap(
    (part) => SETS[part] ?? (ROLES as readonly string[]).filter((role) => role === part),
  );
  if (parts.every((part) => part in SETS || (ROLES as readonly string[]).includes(part)))
    return { ...common, roles: [...new Set(roles)] as Role[] };
  return {
    ...common,
    name: new RegExp(`^${what.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')}$`, 's'),
  };
}

function layersOf(list: string, text: string): (readonly [number, number])[] {
  return list.split(',').map((part) => {
    const found = /^(-?\d+)(?:-(-?\d+))?$/.exec(part.trim());
    if (found === null) throw syntax(text, `"${part}" is no layer`);
    return [Number(found[1]), Number(found[2] ?? found[1])] as const;
  });
}

const syntax = (text: string, why: string): QuantcError =>
  new QuantcError('E_PROTECT_SYNTAX', `"${text}" cannot be read: ${why}`, {
    kind: 'usage',
    hint: `Say a role (ov, ${ROLES.join(', ')}), perhaps with layers and a precision (ov@0-3:int8), layers:0,3, or a name with *.`,
  });

/**
 * The nodes that patterns protect. Of several patterns that mean one node, those of float16 win.
 * @param weighted whether a node has weights that could be protected
 * @throws QuantcError E_PROTECT_NOTHING for a pattern that means no node, listing what there is
 */
export function protectedNodes(
  model: Model,
  protections: readonly Protection[],
  weighted: (node: Node) => boolean,
): ProtectedNode[] {
  const roles = nodeRoles(model);
  const last = Math.max(-1, ...[...roles.values()].flat().map(({ layer = -1 }) => layer));
  const nodes = [...model.graphs()]
    .flatMap((graph) => [...graph.nodes()])
    .filter((node) => roles.has(node) || weighted(node));
  const found = new Map<Node, ProtectedNode>();
  for (const protection of protections.toSorted((a, b) => rank(a) - rank(b))) {
    const hits = nodes.flatMap((node) => meant(node, roles.get(node) ?? [], protection, last) ?? []);
    if (hits.length === 0) throw nothing(protection, roles, nodes, last);
    for (const hit of hits) found.set(hit.node, merged(found.get(hit.node), hit, roles.get(hit.node) ?? []));
  }
  return nodes.flatMap((node) => found.get(node) ?? []);
}

/** Those of float16 last, so that they win. */
const rank = ({ precision }: Protection): number => (precision === 'fp16' ? 1 : 0);

function meant(
  node: Node,
  own: readonly NodeRole[],
  { text, precision, roles, layers, name }: Protection,
  last: number,
): ProtectedNode | undefined {
  const inLayers = ({ layer }: NodeRole): boolean =>
    layers === undefined ||
    (layer !== undefined &&
      layers.some(
        ([from, to]) =>
          layer >= (from < 0 ? from + last + 1 : from) && layer <= (to < 0 ? to + last + 1 : to),
      ));
  if (name !== undefined) {
    const named =
      name.test(node.label) || node.inputs.some((input) => input !== undefined && name.test(input.name));
    if (!named || (layers !== undefined && !own.some(inLayers))) return undefined;
    return { node, precision, text, roles: own, whole: true };
  }
  const hit = own.filter((each) => inLayers(each) && (roles === undefined || roles.includes(each.role)));
  if (hit.length === 0) return undefined;
  return { node, precision, text, roles: hit, whole: hit.length === own.length };
}

/** Two patterns that mean parts of one node, at one precision, mean both parts. */
function merged(
  known: ProtectedNode | undefined,
  hit: ProtectedNode,
  own: readonly NodeRole[],
): ProtectedNode {
  if (known === undefined || known.precision !== hit.precision) return hit;
  const both = own.filter((each) => known.roles.includes(each) || hit.roles.includes(each));
  return { ...hit, roles: both, whole: known.whole || hit.whole || both.length === own.length };
}

function nothing(
  { text }: Protection,
  roles: ReadonlyMap<Node, readonly NodeRole[]>,
  nodes: readonly Node[],
  last: number,
): QuantcError {
  const there = ROLES.filter((role) =>
    [...roles.values()].some((own) => own.some((each) => each.role === role)),
  );
  const names = nodes.slice(0, 4).map((node) => node.label);
  const known =
    there.length === 0
      ? 'No attention was found in this model, so that its weights have no roles'
      : `Roles here: ${there.join(', ')}${last >= 0 ? `, in layers 0 to ${last}` : ''}`;
  return new QuantcError(
    'E_PROTECT_NOTHING',
    `"${text}" protects nothing: no weight of the model is meant by it`,
    {
      kind: 'usage',
      hint: `${known}. Nodes with weights: ${names.join(', ') || 'none'}${nodes.length > 4 ? ', …' : ''}; \`quantc inspect --roles\` shows them.`,
    },
  );
}
