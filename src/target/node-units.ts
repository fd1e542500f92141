/**
 * Which nodes a provider takes or leaves together: DequantizeLinear → node → QuantizeLinear, as the selectors group them
 * that ONNX Runtime's providers share (core/optimizer/qdq_transformer/selectors_actions/shared/utils.cc).
 */
import type { Graph, Node, Value } from '../ir/graph.js';
import { foldedNodes } from './folded.js';
import { isDequantize, isQuantize, type NodeUnit } from './provider.js';
import { whyNoClip, whyNoUnit } from './unit-selectors.js';
import { zeroPointType } from './zero-point-type.js';

/** How a provider comes to see a node. */
export interface UnitReading {
  /** What it is asked about. */
  readonly unit: NodeUnit;
  /**
   * Where Q or DQ stand around the node, but the selectors do not group them: what the unit would be, and why it is
   * none. The provider is asked about the node, and about the Q and DQ, each by itself.
   */
  readonly torn?: { readonly unit: NodeUnit; readonly reason: string };
}

/** A node by itself. */
export const loneUnit = (node: Node): NodeUnit => ({
  node,
  dequantizes: node.inputs.map(() => undefined),
  quantizes: node.outputs.map(() => undefined),
});

/**
 * What a provider is asked about, in graph order, one graph by itself: nodes that ONNX Runtime folds while it loads the
 * model are not among it. A DequantizeLinear that several nodes read counts for each, since ONNX Runtime copies it
 * (core/optimizer/ensure_unique_dq_for_node_unit.cc); it stands by itself where one of its readers is not in a unit.
 * @param graph with types
 */
export function unitsOf(graph: Graph, foldsDequantized = false): readonly UnitReading[] {
  const folded = foldedNodes(graph, foldsDequantized);
  const nodes = [...graph.nodes()].filter((node) => !folded.has(node));
  const readings = new Map<Node, UnitReading>();
  /** Q nodes and activation functions that belong to a unit. */
  const inside = new Set<Node>();
  const read = new Reader(graph, folded);
  for (const node of nodes) {
    if (isDequantize(node) || isQuantize(node)) continue;
    if (inside.has(node)) continue;
    const reading = read.around(node);
    readings.set(node, reading);
    const { absorbed, quantizes } = reading.unit;
    for (const each of [absorbed, ...quantizes]) if (each !== undefined) inside.add(each);
  }
  for (const node of nodes)
    if (isQuantize(node) && !inside.has(node)) readings.set(node, { unit: read.conversion(node) });
  /** Readers of each DequantizeLinear that have it in their units. */
  const grouped = new Map<Node, Set<Node>>();
  for (const { unit } of readings.values()) {
    for (const each of unit.dequantizes) {
      if (each === undefined) continue;
      if (!grouped.has(each)) grouped.set(each, new Set());
      grouped.get(each)!.add(unit.node);
    }
  }
  for (const node of nodes) {
    if (!isDequantize(node)) continue;
    const [output] = node.outputs;
    const inUnits =
      output !== undefined &&
      !output.isOutput &&
      output.uses.length > 0 &&
      output.uses.every((use) => grouped.get(node)?.has(use.node) === true);
    if (!inUnits) readings.set(node, { unit: loneUnit(node) });
  }
  return nodes.flatMap((node) => readings.get(node) ?? []);
}

class Reader {
  readonly #graph: Graph;
  readonly #folded: ReadonlySet<Node>;

  constructor(graph: Graph, folded: ReadonlySet<Node>) {
    this.#graph = graph;
    this.#folded = folded;
  }

  #dequantizer(value: Value | undefined): Node | undefined {
    const node = value?.producer;
    return isDequantize(node) && node.graph === this.#graph && !this.#folded.has(node) ? node : undefined;
  }

  /** The one reader of a value in this graph. */
  #reader(value: Value | undefined): Node | undefined {
    if (value?.uses.length !== 1 || value.isOutput) return undefined;
    const { node } = value.uses[0]!;
    return node.graph === this.#graph ? node : undefined;
  }

  #quantizer(value: Value | undefined): Node | undefined {
    const node = this.#reader(value);
    return isQuantize(node) && node.inputs[0] === value ? node : undefined;
  }

  /** A node with all Q and DQ around it, grouped or torn. */
  around(node: Node): UnitReading {
    const live = node.outputs.filter(({ isOmitted }) => !isOmitted);
    const follower = live.length === 1 ? this.#reader(live[0]) : undefined;
    const clip = follower?.is('Relu') || follower?.is('Clip') ? follower : undefined;
    const behind = this.#quantizer(clip?.outputs[0]);
    const dequantizes = node.inputs.map((input) => this.#dequantizer(input));
    const direct = node.outputs.map((output) => this.#quantizer(output));
    const unit: NodeUnit =
      clip !== undefined && behind !== undefined
        ? { node, dequantizes, quantizes: [behind], absorbed: clip }
        : { node, dequantizes, quantizes: direct };
    const plain = { unit: loneUnit(node) };
    if (![...dequantizes, ...direct].some((each) => each !== undefined)) return plain;
    const redundant = clip && whyNoClip(clip, behind);
    // Without Q behind it, an activation function ends a group that would have none of its own, too.
    const reason = redundant ?? whyNoUnit(unit);
    return reason === undefined ? { unit } : { ...plain, torn: { unit, reason } };
  }

  /** A QuantizeLinear, with the DequantizeLinear of another type in front of it where there is one. */
  conversion(node: Node): NodeUnit {
    const lone = loneUnit(node);
    const from = this.#dequantizer(node.inputs[0]);
    if (from === undefined || zeroPointType(from) === zeroPointType(node)) return lone;
    return { ...lone, dequantizes: [from, ...lone.dequantizes.slice(1)] };
  }
}
