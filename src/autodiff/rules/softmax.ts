/** Gradients of what normalizes over an axis: softmax and its logarithm. */
import { type GradientRule, rule } from '../rule.js';

export const SOFTMAX: readonly GradientRule[] = [
  rule('Softmax', 'y·g − y·Σ y·g over the axis', (at) => {
    const { emit, node } = at;
    const y = node.outputs[0]!;
    const weighted = emit.op('Mul', [at.gradient(), y]);
    const total = emit.sum(weighted, [node.int('axis', -1)]);
    return [emit.op('Sub', [weighted, emit.op('Mul', [y, total])])];
  }),
  rule('LogSoftmax', 'g − e^y·Σ g over the axis', (at) => {
    const { emit, node } = at;
    const g = at.gradient();
    const shares = emit.op('Exp', [node.outputs[0]]);
    return [emit.op('Sub', [g, emit.op('Mul', [shares, emit.sum(g, [node.int('axis', -1)])])])];
  }),
];
