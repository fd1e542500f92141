/** Ties between the channels of values, as the rules of operators state them. */
import type { Node, Value } from '../../src/index.js';

/** A value around a node, where its channels lie, and which channel in common each of them is. */
export interface Tie {
  readonly value: Value;
  readonly axes: readonly number[];
  readonly index: (channel: number) => number;
}

export type Axes = readonly number[];
export type Rule = (node: Node, value: Value, axes: Axes) => readonly Tie[] | undefined;

export const same = (channel: number): number => channel;
/** One channel for one channel; not where sizes differ, since one of them is then repeated for many. */
export function alike(values: readonly Value[], axes: Axes): readonly Tie[] | undefined {
  const [first] = values;
  const fits = values.every((value) =>
    axes.every(
      (axis) => typeof value.shape?.[axis] === 'number' && value.shape[axis] === first!.shape![axis],
    ),
  );
  return fits ? values.map((value) => ({ value, axes, index: same })) : undefined;
}

/** The value is what the operator computes from, or what it gives. */
export const isData = (node: Node, value: Value): boolean =>
  value === node.outputs[0] || (value === node.inputs[0] && node.inputs.indexOf(value, 1) < 0);

/** y(s·x) = s·y(x) for s > 0, element by element. */
export const elementwise: Rule = (node, value, axes) =>
  isData(node, value) ? alike([node.inputs[0]!, node.outputs[0]!], axes) : undefined;
