/**
 * ONNX Runtime's own guess at what a mobile provider is good for: by lists of operators, sizes and the number of
 * partitions, without the limits of single operators (tools/python/util/mobile_helpers/usability_checker.py). It is here
 * to be held against a {@link ProviderVerdict}, which is stricter.
 */
import type { Model, Node, Value } from '../ir/graph.js';
import { valuesRead } from '../ir/walk.js';
import { partitionsOf } from './partition.js';

/** Whether to try a provider: without more ado, after measuring, or not at all. */
export const SUITABILITIES = ['NO', 'MAYBE', 'YES'] as const;
export type Suitability = (typeof SUITABILITIES)[number];

/** What the checker knows of a provider. */
export interface UsabilityList {
  readonly name: string;
  /** `Conv`, `com.microsoft:QLinearAdd`. */
  readonly operators: ReadonlySet<string>;
  /** Most axes that a value may have. */
  readonly maxRank?: number;
  readonly source: string;
}

/** One pass of the checker. */
export interface UsabilityPass {
  /** Nodes of the model, those of subgraphs among them. */
  readonly nodes: number;
  readonly supported: number;
  readonly partitions: number;
  readonly suitability: Suitability;
}

export interface Usability {
  readonly asIs: UsabilityPass;
  /** As if all sizes were numbers, where inputs have some that are not, and the model does not do as it is. */
  readonly fixed?: UsabilityPass;
  /** The better of the two. */
  readonly suitability: Suitability;
  /** Operators that are not in the list. */
  readonly unsupported: readonly string[];
}

/**
 * What a share of nodes in so many partitions is worth: copies between processors eat up what more than two would gain.
 * @param share of all nodes, from 0 to 1
 */
export function suitabilityOf(share: number, partitions: number): Suitability {
  if (partitions === 1) return share > 0.75 ? 'YES' : share > 0.5 ? 'MAYBE' : 'NO';
  return partitions === 2 && share > 0.75 ? 'MAYBE' : 'NO';
}

/** @param model with types, after ONNX Runtime's basic optimizations */
export function usabilityOf(model: Model, list: UsabilityList): Usability {
  const asIs = pass(model, (node) => isListed(list, node) && valuesFit(list, node, true));
  const unsupported = new Set<string>();
  for (const graph of model.graphs())
    for (const node of graph.nodes()) if (!isListed(list, node)) unsupported.add(spelt(node));
  const open = model.graph.inputs.some((input) => !isFixed(input));
  const found = { asIs, suitability: asIs.suitability, unsupported: [...unsupported].sort() };
  if (asIs.suitability === 'YES' || !open) return found;
  const fixed = pass(model, (node) => isListed(list, node) && valuesFit(list, node, false));
  return { ...found, fixed, suitability: better(asIs.suitability, fixed.suitability) };
}

const better = (a: Suitability, b: Suitability): Suitability =>
  SUITABILITIES.indexOf(a) >= SUITABILITIES.indexOf(b) ? a : b;

function pass(model: Model, supports: (node: Node) => boolean): UsabilityPass {
  const nodes = [...model.graph.nodes()];
  const places = new Map(nodes.map((node, at) => [node, at]));
  const pieces = nodes.map((node) => {
    const reads = new Set<number>();
    for (const { producer } of valuesRead(node)) {
      const at = producer && places.get(producer);
      if (at !== undefined && nodes[at] !== node) reads.add(at);
    }
    return { reads: [...reads], taken: supports(node) };
  });
  const all = [...model.graph.withSubgraphs()].reduce((sum, { nodeCount }) => sum + nodeCount, 0);
  const supported = pieces.filter(({ taken }) => taken).length;
  const partitions = partitionsOf(pieces).length;
  const suitability = suitabilityOf(all === 0 ? 0 : supported / all, partitions);
  return { nodes: all, supported, partitions, suitability };
}

const spelt = ({ domain, opType }: Node): string => (domain === '' ? opType : `${domain}:${opType}`);
const isListed = ({ operators }: UsabilityList, node: Node): boolean => operators.has(spelt(node));

const isFixed = (value: Value): boolean =>
  value.constant !== undefined || value.shape?.every((dim) => typeof dim === 'number' && dim > 0) === true;

function valuesFit(
  { maxRank = Number.POSITIVE_INFINITY }: UsabilityList,
  node: Node,
  sizes: boolean,
): boolean {
  return node.inputs.every((input) => {
    if (input === undefined) return true;
    return (!sizes || isFixed(input)) && (input.shape?.length ?? 0) <= maxRank;
  });
}
