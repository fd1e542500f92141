/**
 * Who takes each node: the target's table, applied to a graph. Nodes that compute are candidates for their own sake;
 * those that merely follow stay quantized only between them; and what the cost table says does not pay is left float.
 */
import type { Graph, Node, Value } from '../ir/graph.js';
import { knownElements, soleReader, startsAtZero } from './conditions.js';
import { saving } from './cost.js';
import { planWhole } from './plan-whole.js';
import { lookUp, roleOf, spoiltBy, type Target, type TargetRow } from './target.js';
import { widen } from './widen.js';

/** A node that an integer kernel takes. */
export interface NodePlan {
  readonly node: Node;
  readonly row: TargetRow;
  /** The activation function behind it that its QuantizeLinear makes redundant. */
  readonly tail?: Node;
  /** The value that leaves the kernel: the tail's output, or the node's own. */
  readonly output: Value;
  /** All that leave it: more than one where it parts what it reads. */
  readonly outputs: readonly Value[];
  /** Its activations have 16 bits. */
  readonly wide?: true;
  /** Why they have, where there is more to it than that all have. */
  readonly wideFor?: string;
  /** Why they have not, where it was asked for. */
  readonly narrow?: string;
  /** Its weight has other bits than the target's weights. */
  readonly weightBits?: 4 | 16;
}

export interface Plan {
  readonly target: Target;
  /** In graph order. */
  readonly nodes: ReadonlyMap<Node, NodePlan>;
  /** Why each other node stays as it is. */
  readonly declined: ReadonlyMap<Node, string>;
}

/** What a user excludes from quantization. */
export type Exclusion = (node: Node) => string | undefined;

/**
 * Plans static int8 for one graph.
 * @param exclude answers with a reason for a node that must stay float.
 */
export function planStatic(graph: Graph, target: Target, exclude: Exclusion = () => undefined): Plan {
  if (target.whole) return planWhole(graph, target, exclude);
  const draft = new Draft(target);
  for (const node of graph.nodes()) {
    const excluded = exclude(node);
    if (excluded !== undefined) {
      draft.declined.set(node, excluded);
      continue;
    }
    const verdict = lookUp(target.rows, node);
    const constant = verdict.row?.output === 'shared' && constantActivation(node, verdict.row);
    if (constant) draft.declined.set(node, `it would share parameters with the constant ${constant.name}`);
    else if (verdict.row) draft.add(node, verdict.row);
    else draft.declined.set(node, verdict.reason);
  }
  draft.mindSpoilt();
  draft.settle();
  draft.weigh();
  widen(draft.nodes, draft.givers, target);
  for (const { node, tail } of draft.nodes.values()) {
    draft.declined.delete(node);
    if (tail) draft.declined.delete(tail);
  }
  return { target, nodes: draft.nodes, declined: draft.declined };
}

const constantActivation = (node: Node, row: TargetRow): Value | undefined =>
  node.inputs.find((input, index) => input?.isConstant && roleOf(row, index) === 'activation');

/** The plan while it shrinks: candidates leave it until every rule holds. */
class Draft {
  readonly nodes = new Map<Node, NodePlan>();
  readonly declined = new Map<Node, string>();
  /** Plan of the node whose kernel gives this value. */
  readonly givers = new Map<Value, NodePlan>();
  readonly #target: Target;

  constructor(target: Target) {
    this.#target = target;
  }

  add(node: Node, row: TargetRow): void {
    const tail = row.output === 'own' ? this.#tailOf(node) : undefined;
    const output = (tail ?? node).outputs[0]!;
    const outputs = row.parts ? node.outputs : [output];
    const plan: NodePlan = { node, row, output, outputs, ...(tail && { tail }) };
    this.nodes.set(node, plan);
    for (const each of outputs) this.givers.set(each, plan);
  }

  /** An absorbable activation that alone reads the node's output. */
  #tailOf(node: Node): Node | undefined {
    const reader = soleReader(node);
    return reader && this.#target.absorbed.includes(reader.opType) && startsAtZero(reader)
      ? reader
      : undefined;
  }

  /** The value leaves an integer kernel quantized. */
  #arrivesQuantized(value: Value): boolean {
    const giver = this.givers.get(value);
    return giver !== undefined && giver.row.output !== 'float';
  }

  #activations(plan: NodePlan): Value[] {
    return plan.node.inputs.filter(
      (input, index): input is Value => input !== undefined && roleOf(plan.row, index) === 'activation',
    );
  }

  #quantizedReaders(value: Value): NodePlan[] {
    const readers: NodePlan[] = [];
    for (const { node, index } of value.uses) {
      const plan = this.nodes.get(node);
      if (plan && roleOf(plan.row, index) === 'activation') readers.push(plan);
    }
    return readers;
  }

  #remove(plan: NodePlan, reason: string): void {
    this.nodes.delete(plan.node);
    for (const output of plan.outputs) this.givers.delete(output);
    this.declined.set(plan.node, reason);
  }

  /** What reads the output of a node that must not stand between quantized values cannot have it quantized. */
  mindSpoilt(): void {
    for (const plan of [...this.nodes.values()]) {
      for (const value of this.#activations(plan)) {
        // An activation function between the two vanishes.
        const { producer: last } = value;
        const giver = last && this.#target.absorbed.includes(last.opType) ? last.inputs[0]?.producer : last;
        const reason = giver && spoiltBy(this.#target.rows, giver);
        if (reason !== undefined) this.#remove(plan, `${giver!.label} must give it float: ${reason}`);
      }
    }
  }

  /** Followers whose surroundings are float leave, until none does. */
  settle(): void {
    for (let changed = true; changed; ) {
      changed = false;
      for (const plan of [...this.nodes.values()]) {
        if (plan.row.kind !== 'follow') continue;
        const reason = this.#stranded(plan);
        if (reason === undefined) continue;
        this.#remove(plan, reason);
        changed = true;
      }
    }
  }

  #stranded(plan: NodePlan): string | undefined {
    const activations = this.#activations(plan);
    const computed = activations.filter((value) => !value.isConstant);
    if (computed.length === 0) return 'all of its data is constant';
    const [first] = computed;
    const arriving = plan.row.output === 'same' ? [first!] : computed;
    if (!arriving.some((value) => this.#arrivesQuantized(value))) return 'its inputs are computed in float';
    if (plan.outputs.every((output) => this.#quantizedReaders(output).length === 0))
      return 'no integer kernel reads its output';
    return undefined;
  }

  /** What the node's own change of arithmetic saves, and what its borders cost, in nanoseconds. */
  #worth(plan: NodePlan): number {
    const { costs } = this.#target;
    let worth = saving(plan, costs);
    for (const value of new Set(this.#activations(plan))) {
      if (value.isConstant) continue;
      const elements = knownElements(value);
      const others = this.#quantizedReaders(value).length - 1;
      if (this.#arrivesQuantized(value)) {
        // Without this reader the value might have to be dequantized for it.
        const alreadyFloat = this.#hasFloatReader(value);
        if (!alreadyFloat) worth += elements * costs.dequantize + costs.node;
      } else if (others === 0) worth -= elements * costs.quantize + costs.node;
    }
    for (const output of plan.row.output === 'float' ? [] : plan.outputs) {
      const elements = knownElements(output);
      if (this.#hasFloatReader(output)) worth -= elements * costs.dequantize + costs.node;
      // Without this kernel its quantized readers would need a QuantizeLinear of their own.
      if (this.#quantizedReaders(output).length > 0) worth += elements * costs.quantize + costs.node;
    }
    return worth;
  }

  #hasFloatReader(value: Value): boolean {
    return value.isOutput || value.uses.some(({ node }) => !this.nodes.has(node));
  }

  /** Regions, then single nodes, that lose more at their borders than they save leave the plan. */
  weigh(): void {
    for (let changed = true; changed; ) {
      changed = false;
      for (const region of this.#regions()) {
        const net =
          region.reduce((sum, plan) => sum + saving(plan, this.#target.costs), 0) - this.#borders(region);
        if (net > 0) continue;
        for (const plan of region)
          this.#remove(plan, `float is faster here: the region would lose ${micro(-net)}`);
        changed = true;
      }
      for (const plan of [...this.nodes.values()]) {
        const worth = this.#worth(plan);
        if (worth > 0) continue;
        this.#remove(plan, `float is faster here: quantizing would lose ${micro(-worth)}`);
        changed = true;
      }
      this.settle();
    }
  }

  /** Candidates joined by quantized values. */
  #regions(): NodePlan[][] {
    const seen = new Set<NodePlan>();
    const regions: NodePlan[][] = [];
    for (const start of this.nodes.values()) {
      if (seen.has(start)) continue;
      const region: NodePlan[] = [];
      const waiting = [start];
      seen.add(start);
      for (let plan = waiting.pop(); plan !== undefined; plan = waiting.pop()) {
        region.push(plan);
        const neighbours = this.#activations(plan).flatMap((value) => [
          this.givers.get(value),
          ...this.#quantizedReaders(value),
        ]);
        if (plan.row.output !== 'float')
          for (const output of plan.outputs) neighbours.push(...this.#quantizedReaders(output));
        for (const next of neighbours) {
          if (next === undefined || seen.has(next)) continue;
          seen.add(next);
          waiting.push(next);
        }
      }
      regions.push(region);
    }
    return regions;
  }

  #borders(region: readonly NodePlan[]): number {
    const { costs } = this.#target;
    let sum = 0;
    const entering = new Set<Value>();
    for (const plan of region) {
      for (const value of this.#activations(plan))
        if (!value.isConstant && !this.#arrivesQuantized(value)) entering.add(value);
      for (const output of plan.row.output === 'float' ? [] : plan.outputs)
        if (this.#hasFloatReader(output)) sum += knownElements(output) * costs.dequantize + costs.node;
    }
    for (const value of entering) sum += knownElements(value) * costs.quantize + costs.node;
    return sum;
  }
}

const micro = (nanoseconds: number): string => `${(nanoseconds / 1000).toPrecision(2)} µs an inference`;
