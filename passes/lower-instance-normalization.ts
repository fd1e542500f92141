import { no, node, rewrite, Tensor, value } from '../src/index.js';
import { floating } from './algebra/floating.js';

/** `(x − mean x)/√(mean (x − mean x)² + ε)·scale + bias`, means over everything behind the channels. */
export const lowerInstanceNormalization = rewrite({
  name: 'lower-instance-normalization',
  doc: 'InstanceNormalization → means, a quotient, scale and bias a channel',
  needs: ['typed'],
  opset: 18,
  bind: { x: value, scale: value, bias: value, norm: node },
  pattern: (op, $) => $.norm(op.InstanceNormalization($.x, $.scale, $.bias)),
  check: ({ x, norm }) => {
    if ((x.shape?.length ?? 0) < 3) return no(`${x.name} has fewer than 3 dimensions, or unknown ones`, x);
    return floating({ x, node: norm });
  },
  replace: ({ x, scale, bias, norm }, op) => {
    const spatial = x.shape!.length - 2;
    const axes = Tensor.ints(Array.from({ length: spatial }, (_, at) => at + 2));
    const channels = Tensor.ints([-1, ...Array.from({ length: spatial }, () => 1)]);
    const apart = op.Sub(x, op.ReduceMean(x, axes, { keepdims: 1 }));
    const variance = op.ReduceMean(op.Mul(apart, apart), axes, { keepdims: 1 });
    const deviation = op.Sqrt(op.Add(variance, op.scalar(norm.float('epsilon', 1e-5), x.dtype!)));
    const scaled = op.Mul(op.Div(apart, deviation), op.Reshape(scale, channels));
    return op.Add(scaled, op.Reshape(bias, channels));
  },
});
