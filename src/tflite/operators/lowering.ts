import type { Emitter } from '../emitter.js';
import type { Layout } from '../layout.js';
import type { Unit, UnitRule } from '../unit.js';

/** How an ONNX operator becomes operators of the format. */
export interface Lowering extends UnitRule {
  /**
   * - `last`: it works on channels that lie last, and asks for them there.
   * - `any`: it works in whatever layout its inputs have.
   * - `plain`: it needs ONNX's own order.
   */
  readonly layout: 'last' | 'any' | 'plain';
  readonly lower: (unit: Unit, e: Emitter) => void;
}

/**
 * The layout that an operator with no wish of its own works in: that of its inputs, channels last where one of them
 * lies so and all have the rank of the first.
 */
export function layoutAmong(unit: Unit, e: Emitter, indices: readonly number[]): Layout {
  return indices.some((index) => e.lies(unit, index, 'last') && !e.lies(unit, index, 'plain'))
    ? 'last'
    : 'plain';
}
