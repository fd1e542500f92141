import {
  constant,
  isStatic,
  no,
  node,
  type ReplacementBuilder,
  type ReplacementInput,
  rewrite,
  scalar,
  Tensor,
  type Value,
  type Verdict,
  value,
} from '../src/index.js';
import { overRoot, square } from './algebra/normalization.js';
import { trailingAxis } from './algebra/reduction.js';

const lastSize = (x: Value): number | undefined => {
  const size = x.shape?.at(-1);
  return isStatic([size ?? null]) ? (size as number) : undefined;
};

const fits = (x: Value): Verdict => {
  if (x.dtype !== 'float') return no(`${x.name} is ${x.dtype ?? 'of an unknown type'}, not float`, x);
  return lastSize(x) !== undefined || no(`the last size of ${x.name} is not known`, x);
};

/** [x, −x] has the mean 0 and the mean of squares of x for a variance: half of it normalized is x normalized. */
function mirrored(
  op: ReplacementBuilder,
  x: Value,
  epsilon: number,
  gamma: Tensor | undefined,
): ReplacementInput {
  const size = lastSize(x)!;
  const both = op.Concat(x, op.Mul(x, op.scalar(-1, 'float')), { axis: -1 });
  const scale = gamma
    ? op.derived('float', [2 * size], [gamma], ([source]) => {
        const twice = new Float32Array(2 * size);
        twice.set(source!.toFloat32(), 0);
        twice.set(source!.toFloat32(), size);
        return twice;
      })
    : op.constant('float', [2 * size], new Float32Array(2 * size).fill(1), 'ones');
  const normal = op.LayerNormalization(both, scale, { axis: -1, epsilon });
  return op.Slice(normal, Tensor.ints([0]), Tensor.ints([size]), Tensor.ints([-1]), Tensor.ints([1]));
}

const written = rewrite({
  name: 'written',
  doc: 'x/√(mean(x²) + ε) → half of LayerNormalization([x, −x])',
  needs: ['typed'],
  opset: 17,
  bind: { x: value, axes: constant.optional, epsilon: scalar, mean: node },
  pattern: (op, $) => {
    const mean = $.mean(op.ReduceMean(square(op, $.x), $.axes));
    return overRoot(op, $.x, op.Add(mean, $.epsilon));
  },
  check: ({ x, mean }) => {
    const axis = trailingAxis(x, [mean]);
    if (axis !== -1) return typeof axis === 'string' ? axis : no('it goes over several axes', mean);
    return fits(x);
  },
  replace: ({ x, epsilon }, op) => mirrored(op, x, epsilon, undefined),
});

const operator = rewrite({
  name: 'operator',
  doc: 'RMSNormalization, SimplifiedLayerNormalization → half of LayerNormalization([x, −x])',
  needs: ['typed'],
  opset: 17,
  bind: { x: value, scale: constant, node },
  pattern: (op, $) => $.node(op.oneOf('RMSNormalization', 'SimplifiedLayerNormalization')($.x, $.scale)),
  check: ({ x, scale, node }) => {
    const axis = node.int('axis', -1);
    if (axis !== -1 && axis !== (x.shape?.length ?? 0) - 1) return no('it goes over several axes', node);
    if (scale.shape.length !== 1 || scale.dtype !== 'float') return no('its scale is no row of floats', node);
    return fits(x);
  },
  replace: ({ x, scale, node }, op) => mirrored(op, x, node.float('epsilon', 1e-5), scale),
});

/** For executors that normalize with a mean and not without. */
export const lowerRmsNormalization = rewrite.group(
  'lower-rms-normalization',
  'x/√(mean(x²) + ε) → the first half of LayerNormalization([x, −x]), whose mean is 0',
  [written, operator],
);
