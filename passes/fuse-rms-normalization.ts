import { constant, isStatic, node, rewrite, scalar, type Value, value } from '../src/index.js';
import { overRoot, square } from './algebra/normalization.js';
import { trailingAxis } from './algebra/reduction.js';
import { castAround, scaleAfter } from './fuse-layer-normalization.js';

const dimsOf = (x: Value, axis: number): readonly number[] | undefined => {
  const dims = x.shape?.slice(axis);
  return isStatic(dims) && dims.length === -axis ? dims : undefined;
};

const core = rewrite({
  name: 'normalize',
  doc: 'x/√(mean(x²) + ε) → SimplifiedLayerNormalization(x, 1)',
  needs: ['typed'],
  bind: { x: value, axes: constant.optional, epsilon: scalar, mean: node },
  pattern: (op, $) => {
    const mean = $.mean(op.ReduceMean(square(op, $.x), $.axes));
    return overRoot(op, $.x, op.Add(mean, $.epsilon));
  },
  check: ({ x, mean }) => {
    const axis = trailingAxis(x, [mean]);
    if (typeof axis === 'string') return axis;
    if (x.dtype !== 'float') return `${x.name} is ${x.dtype ?? 'of an unknown type'}, not float`;
    return dimsOf(x, axis) !== undefined || `the last dimensions of ${x.name} are not known`;
  },
  replace: ({ x, mean, epsilon }, op) => {
    const axis = trailingAxis(x, [mean]) as number;
    const dims = dimsOf(x, axis)!;
    const ones = new Float32Array(dims.reduce((count, dim) => count * dim, 1)).fill(1);
    return op.SimplifiedLayerNormalization(x, op.constant('float', dims, ones, 'ones'), {
      axis,
      epsilon,
      stash_type: 1,
    });
  },
});

/**
 * ONNX has RMSNormalization from opset 23 on. ONNX Runtime knows the same as SimplifiedLayerNormalization, which it
 * registers in ai.onnx at version 1: files with it run there and nowhere else.
 */
export const fuseRmsNormalization = rewrite.group(
  'fuse-rms-normalization',
  'γ·x/√(mean(x²) + ε) over the last axes → SimplifiedLayerNormalization(x, γ), an operator of ONNX Runtime',
  [core, castAround('SimplifiedLayerNormalization'), scaleAfter('SimplifiedLayerNormalization')],
);
