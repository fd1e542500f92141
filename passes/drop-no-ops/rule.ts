import type { Node, Value } from '../../src/index.js';

/**
 * Looks at one node and answers with the value that its first output always equals, or undefined. `opset` is the
 * ai.onnx version that the node is read by. Rules never edit.
 */
export type Rule = (node: Node, opset: number) => Value | undefined;

/** Rules by operator of ai.onnx. */
export type Rules = Readonly<Record<string, Rule>>;

/** The input at `index` when `condition` holds. */
export const inputIf = (node: Node, condition: boolean | undefined, index = 0): Value | undefined =>
  condition === true ? node.inputs[index] : undefined;
