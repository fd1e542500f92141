/** What an execution provider takes of a model, told before a device does. */
import type { Graph, Model, Node, Value } from '../ir/graph.js';
import { valuesRead } from '../ir/walk.js';
import { foldedNodes } from './folded.js';
import { loneUnit, type UnitReading, unitsOf } from './node-units.js';
import { type Piece, partitionsOf } from './partition.js';
import { type NodeUnit, operatorName, type ProviderTable } from './provider.js';

/** A rule that a node breaks. */
export interface RuleBreak {
  readonly node: string;
  readonly op: string;
  /** Id of the rule: one of the table's, or `<provider>/operator`, `/subgraph`, `/qdq-unit`, `/alone`. */
  readonly rule: string;
  /** In which way the node breaks it. */
  readonly reason: string;
  /** Where the rule stands. */
  readonly source: string;
  /** The pass or option that mends it, where one does. */
  readonly mend?: string;
}

/** A piece of the graph that the provider runs in one go. */
export interface Partition {
  readonly nodes: number;
  /** Its first and its last node in graph order. */
  readonly first: string;
  readonly last: string;
}

/** What a provider takes. A node counts once, with the Q and DQ that belong to it. */
export interface ProviderVerdict {
  readonly provider: ProviderTable['provider'];
  readonly nodes: number;
  readonly taken: number;
  /** `taken` of `nodes`, from 0 to 1; 1 for a model without nodes. */
  readonly coverage: number;
  readonly partitions: readonly Partition[];
  /** Every rule that a node which is left breaks, in graph order. */
  readonly breaks: readonly RuleBreak[];
}

/** The break to look at first: Q and DQ that stand alone mostly do so because of the node between them. */
export const causeOf = ({ breaks }: ProviderVerdict): RuleBreak | undefined =>
  breaks.find(({ op }) => op !== 'QuantizeLinear' && op !== 'DequantizeLinear') ?? breaks[0];

/** A provider's unit, and whatever keeps the provider from it. */
interface Judged {
  readonly unit: NodeUnit;
  readonly breaks: readonly RuleBreak[];
}

/**
 * Judges a model as it stands.
 * @param model with types, and without local functions, which ONNX Runtime inlines before it asks
 * @param nameOf what to call a node; default its label
 */
export function verdictOf(
  model: Model,
  table: ProviderTable,
  nameOf: (node: Node) => string = ({ label }) => label,
): ProviderVerdict {
  const partitions: Partition[] = [];
  const breaks: RuleBreak[] = [];
  let nodes = 0;
  let taken = 0;
  for (const graph of model.graph.withSubgraphs()) {
    const whole = graph === model.graph || table.subgraphs === true;
    const judged = readingsOf(graph, table).map((reading) => ({
      unit: reading.unit,
      breaks: whole ? judge(reading, table, nameOf) : [outside(reading.unit.node, table, nameOf)],
    }));
    const { kept, back } = cut(judged, table, nameOf);
    nodes += judged.length;
    taken += kept.reduce((sum, members) => sum + members.length, 0);
    for (const members of kept)
      partitions.push({
        nodes: members.length,
        first: nameOf(members[0]!.node),
        last: nameOf(members.at(-1)!.node),
      });
    for (const each of judged) breaks.push(...each.breaks, ...(back.get(each.unit) ?? []));
  }
  return {
    provider: table.provider,
    nodes,
    taken,
    coverage: nodes === 0 ? 1 : taken / nodes,
    partitions,
    breaks,
  };
}

function readingsOf(graph: Graph, table: ProviderTable): readonly UnitReading[] {
  if (table.readsUnits) return unitsOf(graph, table.foldsDequantized);
  const folded = foldedNodes(graph, table.foldsDequantized);
  return [...graph.nodes()].filter((node) => !folded.has(node)).map((node) => ({ unit: loneUnit(node) }));
}

type NameOf = (node: Node) => string;

const SHARED = 'onnxruntime/core/optimizer/qdq_transformer/selectors_actions/qdq_selectors.cc';

const outside = (node: Node, { provider, source }: ProviderTable, nameOf: NameOf): RuleBreak => ({
  node: nameOf(node),
  op: operatorName(node),
  rule: `${provider}/subgraph`,
  reason: 'it lies in a subgraph, and the provider takes the main graph alone',
  source,
});

/** Every rule that keeps a provider from what it is asked about. */
function judge({ unit, torn }: UnitReading, table: ProviderTable, nameOf: NameOf): RuleBreak[] {
  const broken = brokenRules(unit, table, nameOf);
  if (torn === undefined || broken.length === 0 || !table.operators.has(operatorName(unit.node)))
    return broken;
  // What is wrong is best told of the unit that it was meant to be.
  const meant = brokenRules(torn.unit, table, nameOf);
  const { node } = unit;
  return [
    ...(meant.length > 0 ? meant : broken),
    {
      node: nameOf(node),
      op: operatorName(node),
      rule: `${table.provider}/qdq-unit`,
      reason: `not read as one unit with the Q and DQ around it: ${torn.reason}`,
      source: SHARED,
    },
  ];
}

function brokenRules(unit: NodeUnit, table: ProviderTable, nameOf: NameOf): RuleBreak[] {
  const op = operatorName(unit.node);
  const place = { node: nameOf(unit.node), op };
  if (!table.operators.has(op)) {
    const reason = `${table.provider} has no builder for ${op}`;
    return [{ ...place, rule: `${table.provider}/operator`, reason, source: table.source }];
  }
  return table.rules.flatMap(({ id, ops, check, source, mend }) => {
    if (ops !== undefined && !ops.includes(op)) return [];
    const reason = check(unit);
    return reason === true
      ? []
      : [{ ...place, rule: id, reason, source, ...(mend !== undefined && { mend }) }];
  });
}

/** The partitions of a graph, and the nodes that the provider gives back since a partition is nothing else. */
function cut(judged: readonly Judged[], table: ProviderTable, nameOf: NameOf) {
  const kept: NodeUnit[][] = [];
  const back = new Map<NodeUnit, readonly RuleBreak[]>();
  for (const places of partitionsOf(piecesOf(judged))) {
    const members = places.map((at) => judged[at]!.unit);
    const [only] = members;
    const op = operatorName(only!.node);
    if (members.length > 1 || table.notAlone?.includes(op) !== true || only!.dequantizes[0] !== undefined) {
      kept.push(members);
      continue;
    }
    back.set(only!, [
      {
        node: nameOf(only!.node),
        op,
        rule: `${table.provider}/alone`,
        reason: `the provider does not take ${op} by itself, and nothing beside it is taken`,
        source: table.source,
      },
    ]);
  }
  return { kept, back };
}

function piecesOf(judged: readonly Judged[]): Piece[] {
  const givers = new Map<Value, number>();
  judged.forEach(({ unit }, at) => {
    for (const node of nodesOf(unit)) for (const output of node.outputs) givers.set(output, at);
  });
  return judged.map(({ unit, breaks }, at) => {
    const reads = new Set<number>();
    for (const value of readBy(unit)) {
      const giver = givers.get(value);
      if (giver !== undefined && giver !== at) reads.add(giver);
    }
    return { reads: [...reads], taken: breaks.length === 0 };
  });
}

/** The nodes whose outputs leave a unit; its DequantizeLinear nodes may be those of others as well. */
const nodesOf = ({ node, absorbed, quantizes }: NodeUnit): Node[] =>
  [node, absorbed, ...quantizes].filter((each) => each !== undefined);

/** What a unit reads of others. */
function* readBy(unit: NodeUnit): IterableIterator<Value> {
  const given = new Set(unit.dequantizes.map((each) => each?.outputs[0]));
  for (const node of nodesOf(unit)) for (const value of valuesRead(node)) if (!given.has(value)) yield value;
  for (const each of unit.dequantizes) if (each !== undefined) yield* valuesRead(each);
}
