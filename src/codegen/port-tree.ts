/**
 * Inputs or outputs as properties of an object: a name each, and those of layers (`past_key_values.0.key`, `.1.key` …)
 * as one array.
 */
import type { BoundPort } from './bound-model.js';
import { elementType } from './element-type.js';
import { camelCase, free } from './identifier.js';

/** One property. */
export type PortField =
  | { readonly kind: 'port'; readonly property: string; readonly port: BoundPort }
  | {
      readonly kind: 'layers';
      readonly property: string;
      readonly count: number;
      /** Of the first layer; the others are the same but for their numbers. */
      readonly members: readonly { readonly property: string; readonly port: BoundPort }[];
    };

/** Where in the object a port lies. */
export interface PlacedPort {
  readonly path: readonly (string | number)[];
  readonly port: BoundPort;
}

export interface PortTree {
  readonly fields: readonly PortField[];
  /** Every port, in the model's order. */
  readonly placed: readonly PlacedPort[];
}

/** `past_key_values.0.key`, `present_0_value`: before, number, behind. */
const LAYERED = /^(.*?)[._/](0|[1-9]\d{0,5})[._/](.+)$/su;

interface Layered {
  readonly port: BoundPort;
  readonly before: string;
  readonly layer: number;
  readonly behind: string;
}

/** @param fallback name of what has no letters in its own */
export function portTree(ports: readonly BoundPort[], fallback: string): PortTree {
  const groups = layersOf(ports);
  const grouped = new Map<BoundPort, string>();
  for (const [before, members] of groups) for (const { port } of members) grouped.set(port, before);
  const taken = new Set<string>();
  const fields: PortField[] = [];
  const paths = new Map<BoundPort, readonly (string | number)[]>();
  for (const port of ports) {
    const before = grouped.get(port);
    if (paths.has(port)) continue;
    if (before === undefined) {
      const property = free(camelCase(port.name, fallback), taken);
      fields.push({ kind: 'port', property, port });
      paths.set(port, [property]);
      continue;
    }
    const property = free(camelCase(before, fallback), taken);
    const within = new Set<string>();
    const names = new Map<string, string>();
    const layers = groups.get(before)!;
    const members = layers.filter(({ layer }) => layer === 0);
    for (const { behind } of members) names.set(behind, free(camelCase(behind, fallback), within));
    for (const each of layers) paths.set(each.port, [property, each.layer, names.get(each.behind)!]);
    fields.push({
      ...{ kind: 'layers', property, count: layers.length / members.length },
      members: members.map(({ port: first, behind }) => ({ property: names.get(behind)!, port: first })),
    });
  }
  return { fields, placed: ports.map((port) => ({ path: paths.get(port)!, port })) };
}

/** Ports that come a layer each, by what stands before the number: two layers or more, from 0, each with the same. */
function layersOf(ports: readonly BoundPort[]): Map<string, Layered[]> {
  const groups = new Map<string, Layered[]>();
  for (const port of ports) {
    const [, before, layer, behind] = LAYERED.exec(port.name) ?? [];
    if (before === undefined) continue;
    const group = groups.get(before) ?? [];
    groups.set(before, group);
    group.push({ port, before, layer: Number(layer), behind: behind! });
  }
  for (const [before, group] of groups) if (!isRegular(group)) groups.delete(before);
  return groups;
}

function isRegular(group: readonly Layered[]): boolean {
  const first = new Map(group.filter(({ layer }) => layer === 0).map((each) => [each.behind, each.port]));
  const count = group.length / first.size;
  if (!Number.isInteger(count) || count < 2) return false;
  const seen = new Set<string>();
  for (const { layer, behind, port } of group) {
    const model = first.get(behind);
    const place = `${layer} ${behind}`;
    if (model === undefined || layer >= count || seen.has(place) || typeOf(port) !== typeOf(model))
      return false;
    seen.add(place);
  }
  return true;
}

/** Ports of one type go into one array; quantization would be told of each. */
const typeOf = ({ name, dtype, dims, optional, quantization }: BoundPort): string =>
  JSON.stringify([elementType(dtype, name), dims, optional ?? false, quantization ?? null]);
