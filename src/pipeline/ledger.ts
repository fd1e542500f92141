import type { Node } from '../ir/graph.js';

/** What became of one node, and why. */
export interface LedgerRow {
  readonly node: string;
  readonly opType: string;
  /** Graph or function that holds the node; '' is the main graph. */
  readonly graph: string;
  /** What the node computes in: `float`, `int8`, `int8-dynamic`, `float16`, `int4` … */
  precision: string;
  /** Kernel that the executor takes for it, as the target's table predicts or the proof read back. */
  kernel?: string;
  /** Why it was left as it was, or what rule decided. */
  reason?: string;
  /** Constant bytes that the node reads, before and after. */
  bytesBefore?: number;
  bytesAfter?: number;
  /** Signal-to-quantization-noise ratio of the node's first output against the float model, in dB. */
  sqnr?: number;
}

/** Something worth telling that belongs to no single node: a pass that passed by, a warning. */
export interface LedgerNote {
  readonly level: 'info' | 'warning';
  readonly code: string;
  readonly message: string;
  readonly pass?: string;
}

/** The record of every decision. One row a node, by the node's name; later entries refine earlier ones. */
export class Ledger {
  readonly #rows = new Map<string, LedgerRow>();
  readonly notes: LedgerNote[] = [];

  /** Records or refines the row of a node. */
  record(node: Node, facts: Partial<Omit<LedgerRow, 'node' | 'opType' | 'graph'>>): void {
    const graph = node.graph.owner === undefined ? '' : node.graph.name;
    const key = `${graph}/${node.label}`;
    const row = this.#rows.get(key) ?? { node: node.label, opType: node.opType, graph, precision: 'float' };
    this.#rows.set(key, { ...row, ...facts });
  }

  note(level: LedgerNote['level'], code: string, message: string, pass?: string): void {
    this.notes.push(pass === undefined ? { level, code, message } : { level, code, message, pass });
  }

  get rows(): LedgerRow[] {
    return [...this.#rows.values()];
  }
}
