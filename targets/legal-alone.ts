import type { Node, NodeUnit, ProviderTable } from '../src/index.js';

const loneUnit = (node: Node): NodeUnit => ({
  node,
  dequantizes: node.inputs.map(() => undefined),
  quantizes: node.outputs.map(() => undefined),
});

/** True where a float node obeys all rules of a provider before anything around it is quantized; else the first broken. */
export const legalAlone =
  ({ rules }: ProviderTable) =>
  (node: Node): true | string => {
    const unit = loneUnit(node);
    for (const { ops, check, id } of rules) {
      if (ops !== undefined && !ops.includes(node.opType)) continue;
      const answer = check(unit);
      if (answer !== true) return `${id}: ${answer}`;
    }
    return true;
  };
