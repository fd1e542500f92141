import {
  constant,
  isStatic,
  node,
  type Pattern,
  type PatternBuilder,
  type RewritePass,
  rewrite,
  type Slots,
  scalar,
  type Value,
  value,
} from '../src/index.js';
import { alongLast, inverseRoot, isOnes, overRoot, square } from './algebra/normalization.js';
import { trailingAxis } from './algebra/reduction.js';

const bind = {
  x: value,
  axes: constant.optional,
  axesOfVariance: constant.optional,
  epsilon: scalar,
  mean: node,
  variance: node,
};

/** Mean and variance of x, each computed from its own x − mean where an exporter wrote it twice. */
function moments(op: PatternBuilder, $: Slots<typeof bind>): { mean: Pattern; variance: Pattern } {
  const mean = $.mean(op.ReduceMean($.x, $.axes));
  const variance = $.variance(op.ReduceMean(square(op, op.Sub($.x, mean)), $.axesOfVariance));
  return { mean, variance: op.Add(variance, $.epsilon) };
}

/** The dimensions that are normalized together, when float numbers of known shape are. */
function normalized(x: Value, axis: number | string): readonly number[] | string {
  if (typeof axis === 'string') return axis;
  if (x.dtype !== 'float') return `${x.name} is ${x.dtype ?? 'of an unknown type'}, not float`;
  const dims = x.shape?.slice(axis);
  return isStatic(dims) && dims.length === -axis ? dims : `the last dimensions of ${x.name} are not known`;
}

const core = rewrite({
  name: 'normalize',
  doc: '(x − μ)/√(σ² + ε) → LayerNormalization(x, 1), with μ = mean(x), σ² = mean((x − μ)²)',
  needs: ['typed'],
  opset: 17,
  bind,
  pattern: (op, $) => {
    const { mean, variance } = moments(op, $);
    return overRoot(op, op.Sub($.x, mean), variance);
  },
  check: ({ x, mean, variance }) => {
    const dims = normalized(x, trailingAxis(x, [mean, variance]));
    return typeof dims !== 'string' || dims;
  },
  replace: ({ x, mean, variance, epsilon }, op) => {
    const axis = trailingAxis(x, [mean, variance]) as number;
    const dims = normalized(x, axis) as readonly number[];
    const ones = new Float32Array(dims.reduce((count, dim) => count * dim, 1)).fill(1);
    return op.LayerNormalization(x, op.constant('float', dims, ones, 'ones'), { axis, epsilon });
  },
});

/** As TensorFlow writes it, so that x is read once after the moments are known. */
const folded = rewrite({
  name: 'normalize-and-scale',
  doc: 'x·a + (β − μ·a) with a = γ/√(σ² + ε) → LayerNormalization(x, γ, β)',
  needs: ['typed'],
  opset: 17,
  bind: { ...bind, gamma: constant, beta: constant },
  pattern: (op, $) => {
    const { mean, variance } = moments(op, $);
    const factor = op.Mul(inverseRoot(op, variance), $.gamma);
    return op.Add(op.Mul($.x, factor), op.Sub($.beta, op.Mul(mean, factor)));
  },
  check: ({ x, mean, variance, gamma, beta }) => {
    const dims = normalized(x, trailingAxis(x, [mean, variance]));
    if (typeof dims === 'string') return dims;
    if (alongLast(gamma, dims) === undefined) return `the scale is [${gamma.shape}], not [${dims}]`;
    return alongLast(beta, dims) !== undefined || `the bias is [${beta.shape}], not [${dims}]`;
  },
  replace: ({ x, mean, variance, epsilon, gamma, beta }, op) => {
    const axis = trailingAxis(x, [mean, variance]) as number;
    const dims = normalized(x, axis) as readonly number[];
    return op.LayerNormalization(x, alongLast(gamma, dims), alongLast(beta, dims), { axis, epsilon });
  },
});

/** Gives a normalization whose scale is 1 the scale that follows. */
export const scaleAfter = (opType: 'LayerNormalization' | 'SimplifiedLayerNormalization'): RewritePass =>
  rewrite({
    name: 'scale',
    doc: `${opType}(x, 1)·γ → ${opType}(x, γ)`,
    needs: ['typed'],
    bind: { x: value, ones: constant, gamma: constant, normalization: node },
    pattern: (op, $) => op.Mul($.normalization(op.oneOf(opType)($.x, $.ones)), $.gamma),
    check: ({ ones, gamma }) => {
      if (!isOnes(ones)) return 'it has a scale already';
      if (gamma.dtype !== ones.dtype) return `the factor is ${gamma.dtype}`;
      return (
        alongLast(gamma, ones.shape) !== undefined || `the factor is [${gamma.shape}], not [${ones.shape}]`
      );
    },
    replace: ({ x, ones, gamma, normalization }, op) => {
      const like = op.like(normalization);
      const scale = alongLast(gamma, ones.shape);
      return opType === 'LayerNormalization'
        ? like.LayerNormalization(x, scale)
        : like.SimplifiedLayerNormalization(x, scale);
    },
  });

/** float16 models compute the moments in float: the operator does so by itself. */
export const castAround = (opType: 'LayerNormalization' | 'SimplifiedLayerNormalization'): RewritePass =>
  rewrite({
    name: 'casts',
    doc: `Cast(${opType}(Cast(x, float), 1), float16) → ${opType}(x, 1), which computes in float (stash_type 1)`,
    needs: ['typed'],
    bind: { x: value, ones: constant, normalization: node },
    pattern: (op, $) =>
      op.Cast($.normalization(op.oneOf(opType)(op.Cast($.x, { to: 1 }), $.ones)), { to: 10 }),
    check: ({ x, ones }) => {
      if (x.dtype !== 'float16') return `${x.name} is ${x.dtype}, not float16`;
      return isOnes(ones) || 'it has a scale in float already';
    },
    replace: ({ x, ones, normalization }, op) => {
      // 1 in float16 is 0x3c00.
      const scale = op.constant('float16', ones.shape, new Uint16Array(ones.count).fill(0x3c00), 'ones');
      const like = op.like(normalization);
      return opType === 'LayerNormalization'
        ? like.LayerNormalization(x, scale)
        : like.SimplifiedLayerNormalization(x, scale);
    },
  });

const bias = rewrite({
  name: 'bias',
  doc: 'LayerNormalization(x, γ) + β → LayerNormalization(x, γ, β)',
  needs: ['typed'],
  bind: { x: value, gamma: constant, beta: constant, normalization: node },
  pattern: (op, $) => op.Add($.normalization(op.LayerNormalization($.x, $.gamma)), $.beta),
  check: ({ gamma, beta }) => {
    if (beta.dtype !== gamma.dtype) return `the summand is ${beta.dtype}`;
    return (
      alongLast(beta, gamma.shape) !== undefined || `the summand is [${beta.shape}], not [${gamma.shape}]`
    );
  },
  replace: ({ x, gamma, beta, normalization }, op) =>
    op.like(normalization).LayerNormalization(x, gamma, alongLast(beta, gamma.shape)),
});

export const fuseLayerNormalization = rewrite.group(
  'fuse-layer-normalization',
  'γ·(x − mean(x))/√(mean((x − mean(x))²) + ε) + β over the last axes, in any order → LayerNormalization(x, γ, β)',
  [folded, core, castAround('LayerNormalization'), scaleAfter('LayerNormalization'), bias],
);
