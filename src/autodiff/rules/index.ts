/** The table of gradient rules: one row an operator. */
import { QuantcError } from '../../errors/error.js';
import type { Node } from '../../ir/graph.js';
import type { GradientRule } from '../rule.js';
import { ACTIVATIONS } from './activations.js';
import { ARITHMETIC } from './arithmetic.js';
import { CONVOLUTION } from './convolution.js';
import { EINSUM } from './einsum.js';
import { INDEXING } from './indexing.js';
import { MOVEMENT } from './movement.js';
import { NORMALIZATIONS } from './normalizations.js';
import { POOLS } from './pools.js';
import { PRODUCTS } from './products.js';
import { QUANTIZATION } from './quantization.js';
import { REDUCTIONS } from './reductions.js';
import { SOFTMAX } from './softmax.js';

/** Every rule, in the order of the documentation's table. */
export const GRADIENT_RULES: readonly GradientRule[] = [
  ...ARITHMETIC,
  ...ACTIVATIONS,
  ...SOFTMAX,
  ...REDUCTIONS,
  ...MOVEMENT,
  ...INDEXING,
  ...PRODUCTS,
  ...EINSUM,
  ...CONVOLUTION,
  ...POOLS,
  ...NORMALIZATIONS,
  ...QUANTIZATION,
];

const BY_OPERATOR = new Map(GRADIENT_RULES.flatMap((each) => each.ops.map((op) => [op, each] as const)));

/** True when gradients flow through an operator of ai.onnx. */
export const hasGradient = (opType: string, domain = ''): boolean => domain === '' && BY_OPERATOR.has(opType);

/** The rule of a node. @throws QuantcError E_GRADIENT_OP where there is none. */
export function ruleOf(node: Node): GradientRule {
  const found = node.domain === '' ? BY_OPERATOR.get(node.opType) : undefined;
  if (found !== undefined) return found;
  const name = node.domain === '' ? node.opType : `${node.domain}.${node.opType}`;
  throw new QuantcError(
    'E_GRADIENT_OP',
    `${name} has no gradient here, and lies on the way to what is trained`,
    {
      place: { node: node.label },
      hint:
        node.domain === ''
          ? 'Freeze what lies before this node, or write it with operators that have one (docs/training.md lists them).'
          : 'Start from the model before such operators were fused into it, or freeze what lies before this node.',
    },
  );
}
