import type { Node } from '../ir/graph.js';

/** What became of one node, and why. */
export interface LedgerRow {
  readonly node: string;
  readonly opType: string;
  /** Graph or function that holds the node; '' is the main graph. */
  readonly graph: string;
  /** What the node computes in: `float`, `int8`, `w8a16` (int8 weights, activations of 16 bits), `int8-dynamic` … */
  readonly precision: string;
  /** Kernel that the executor takes for it, as the target's table predicts or the proof read back. */
  readonly kernel?: string;
  /** Why it was left as it was, or what rule decided. */
  readonly reason?: string;
  /** Constant bytes that the node reads, before and after. */
  readonly bytesBefore?: number;
  readonly bytesAfter?: number;
  /** Signal-to-quantization-noise ratio of the node's first output against the float model, in dB. */
  readonly sqnr?: number;
  readonly cosine?: number;
  /** Share of the output's elements that its grid cuts off, and of the grid's steps that they take. */
  readonly saturation?: number;
  readonly rangeUse?: number;
  /** What would help a layer that loses much. */
  readonly suggestion?: Suggestion;
  /** Pruned weights: the share that is 0, and the share of the weight's energy, by what it is multiplied with, that went. */
  readonly sparsity?: number;
  readonly energyLost?: number;
  /** Plugin whose pass made the node what it is, or said something of it. */
  readonly plugin?: string;
}

/** The remedy for a layer's error, as its figures decide it. */
export interface Suggestion {
  /**
   * - `clip`: lay the grid over a narrower range; - `widen`: over a wider one; - `equalize`: bring the channels' ranges
   * together; - `16-bit`: more steps; - `float`: keep the node out; - `upstream`: mend what it is computed from.
   */
  readonly kind: 'clip' | 'widen' | 'equalize' | '16-bit' | 'float' | 'upstream';
  /** One plain line, with the figures. */
  readonly text: string;
  /** With `upstream`: the node where the error begins, whose own suggestion is the one to follow. */
  readonly origin?: string;
}

/** Something worth telling that belongs to no single node: a pass that passed by, a warning. */
export interface LedgerNote {
  readonly level: 'info' | 'warning';
  readonly code: string;
  readonly message: string;
  readonly pass?: string;
  /** Plugin whose pass it is. */
  readonly plugin?: string;
}

type Facts = Partial<Omit<LedgerRow, 'node' | 'opType' | 'graph'>>;

/** The record of every decision. One row a node, by the node's name; later entries refine earlier ones. */
export class Ledger {
  readonly #rows = new Map<string, LedgerRow>();
  readonly notes: LedgerNote[] = [];
  /** The plugin by whose pass entries are made now. */
  plugin: string | undefined;
  /** Plugins by the nodes that their passes rewrote, which may have no rows yet. */
  readonly #touched = new Map<string, string>();

  /** Records or refines the row of a node. */
  record(node: Node, facts: Facts): void {
    const row = this.find(node) ?? {
      node: node.label,
      opType: node.opType,
      graph: graphOf(node),
      precision: 'float',
    };
    const plugin = this.plugin ?? this.#touched.get(keyOf(node)) ?? this.#touched.get(outputKeyOf(node));
    this.#rows.set(keyOf(node), { ...row, ...facts, ...(plugin !== undefined && { plugin }) });
  }

  /** Says that a plugin's pass put something in the place of a node: what bears its name from now on is the plugin's. */
  touched(node: Node, plugin: string): void {
    // A node without a name is called by its operator, too, which another one in its place need not share.
    for (const key of [keyOf(node), outputKeyOf(node)]) this.#touched.set(key, plugin);
    const row = this.find(node);
    if (row !== undefined) this.#rows.set(keyOf(node), { ...row, plugin });
  }

  /** Adds facts to a row that is there already; nodes without one stay without. */
  refine(node: Node, facts: Facts): void {
    if (this.find(node)) this.record(node, facts);
  }

  find(node: Node): LedgerRow | undefined {
    return this.#rows.get(keyOf(node));
  }

  note(level: LedgerNote['level'], code: string, message: string, pass?: string): void {
    const { plugin } = this;
    this.notes.push({
      ...{ level, code, message },
      ...(pass !== undefined && { pass }),
      ...(plugin !== undefined && { plugin }),
    });
  }

  /** Takes notes back that a later decision made untrue. */
  withdraw(code: string): void {
    for (let at = this.notes.length - 1; at >= 0; at--)
      if (this.notes[at]!.code === code) this.notes.splice(at, 1);
  }

  get rows(): LedgerRow[] {
    return [...this.#rows.values()];
  }
}

const graphOf = (node: Node): string => (node.graph.owner === undefined ? '' : node.graph.name);
const keyOf = (node: Node): string => `${graphOf(node)}/${node.label}`;
const outputKeyOf = (node: Node): string => `${graphOf(node)}\n${node.outputs[0]?.name}`;
