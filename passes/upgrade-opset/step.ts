import type { LocalFunction, Model, Node } from '../../src/index.js';

/** Where a node stands: its model, and the local function whose body holds it, if one does. */
export interface Scope {
  readonly model: Model;
  readonly function: LocalFunction | undefined;
}

/**
 * One version of an operator that means something else than the version before it, and how a node gets there.
 * A version that only took more types or attributes (whose defaults keep the old meaning) needs no step.
 */
export interface Step {
  readonly version: number;
  /** The operator that goes on from here, where the old one was withdrawn. */
  readonly becomes?: string;
  /**
   * Why this node cannot take the step, or nothing. Asked of every node before any is edited, so the node still has
   * the form of the version it came in.
   */
  refuse?(node: Node, scope: Scope): string | undefined;
  /** Edits the node in place, and adds nodes around it where one no longer suffices. */
  apply?(node: Node, scope: Scope): void;
}

export type Adapter = Omit<Step, 'version'>;

/** The versions of one operator in order: a plain number where the change is compatible. */
export type History = readonly (number | Step)[];

export const at = (version: number, adapter: Adapter): Step => ({ version, ...adapter });

/** Several adapters as one: all must consent, then each is applied in order. */
export const together = (...adapters: readonly Adapter[]): Adapter => ({
  refuse(node, scope) {
    for (const adapter of adapters) {
      const reason = adapter.refuse?.(node, scope);
      if (reason !== undefined) return reason;
    }
    return undefined;
  },
  apply(node, scope) {
    for (const adapter of adapters) adapter.apply?.(node, scope);
  },
});

/** Refuses nodes with an attribute that a caller of the function binds: its value cannot be known here. */
export function boundByCaller(node: Node, ...names: readonly string[]): string | undefined {
  const bound = names.find((name) => node.attributes.get(name)?.kind === 'ref');
  return bound === undefined ? undefined : `attribute ${bound} is bound by the caller of the function`;
}
