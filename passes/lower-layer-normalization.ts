import { node, rewrite, Tensor, value } from '../src/index.js';
import { alone, firstAxis } from './algebra/layer-normalization.js';

/** `(x − mean x)/√(mean (x − mean x)² + ε)·scale + bias` over the last axes, as ONNX defines it. */
export const lowerLayerNormalization = rewrite({
  name: 'lower-layer-normalization',
  doc: 'LayerNormalization → means, a quotient, scale and bias',
  needs: ['typed'],
  opset: 18,
  bind: { x: value, scale: value, bias: value.optional, norm: node },
  pattern: (op, $) => $.norm(op.LayerNormalization($.x, $.scale, $.bias)),
  check: alone,
  replace: ({ x, scale, bias, norm }, op) => {
    const rank = x.shape!.length;
    const first = firstAxis(x, norm)!;
    const axes = Tensor.ints(Array.from({ length: rank - first }, (_, at) => first + at));
    const apart = op.Sub(x, op.ReduceMean(x, axes, { keepdims: 1 }));
    const variance = op.ReduceMean(op.Mul(apart, apart), axes, { keepdims: 1 });
    const deviation = op.Sqrt(op.Add(variance, op.scalar(norm.float('epsilon', 1e-5), x.dtype!)));
    const scaled = op.Mul(op.Div(apart, deviation), scale);
    return bias === undefined ? scaled : op.Add(scaled, bias);
  },
});
