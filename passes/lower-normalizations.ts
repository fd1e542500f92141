import {
  no,
  node,
  type ReplacementBuilder,
  type ReplacementInput,
  readsFunctionAttributes,
  rewrite,
  type Site,
  Tensor,
  type Value,
  type Verdict,
  value,
} from '../src/index.js';

function ranked(x: Value, least: number, { root }: Site): Verdict {
  if (readsFunctionAttributes(root)) return no('the caller decides its attributes', root);
  if (x.dtype !== 'float' && x.dtype !== 'float16')
    return no(`${x.name} is ${x.dtype ?? 'of an unknown type'}`, x);
  if (x.shape === undefined) return no(`the rank of ${x.name} is unknown`, x);
  return x.shape.length >= least || no(`${x.name} has fewer than ${least} dimensions`, x);
}

/** The shape of a value as an input of Reshape: written out where known, with one open place; else asked for. */
function shapeOf(x: Value, op: ReplacementBuilder): ReplacementInput {
  const open = x.shape!.filter((dim) => typeof dim !== 'number').length;
  if (open <= 1 && !x.shape!.includes(0))
    return Tensor.ints(x.shape!.map((dim) => (typeof dim === 'number' ? dim : -1)));
  return op.Shape(x);
}

/** [N, C, …] as one row a group: [N, G, everything else], normalized a row, put back, then scaled a channel. */
const group = rewrite({
  name: 'group',
  doc: 'GroupNormalization<G>(x, s, b) → s·InstanceNormalization(x as [N, G, …]) + b',
  needs: ['typed'],
  opset: 21,
  bind: { x: value, scale: value, bias: value, norm: node },
  pattern: (op, $) => $.norm(op.GroupNormalization($.x, $.scale, $.bias)),
  check: ({ x }, site) => ranked(x, 3, site),
  replace: ({ x, scale, bias, norm }, op) => {
    const dtype = x.dtype!;
    const groups = norm.int('num_groups', 1);
    const rows = op.Reshape(x, Tensor.ints([0, groups, -1]));
    const each = (number: number): Tensor =>
      op.derived(dtype, [groups], [Tensor.scalar(number, dtype)], ([one]) => {
        const bytes = one!.bytes();
        return Buffer.concat(Array.from({ length: groups }, () => bytes));
      });
    const normal = op.InstanceNormalization(rows, each(1), each(0), {
      epsilon: norm.float('epsilon', 1e-5),
    });
    const channels = Tensor.ints([-1, ...Array.from({ length: x.shape!.length - 2 }, () => 1)]);
    const whole = op.Reshape(normal, shapeOf(x, op));
    return op.Add(op.Mul(whole, op.Reshape(scale, channels)), op.Reshape(bias, channels));
  },
});

/** ONNX's own function body, whose guard against division by zero is 1e-9 added to the deviation. */
const meanVariance = rewrite({
  name: 'mean-variance',
  doc: 'MeanVarianceNormalization(x) → (x − mean x) / (√mean (x − mean x)² + 1e-9)',
  needs: ['typed'],
  opset: 18,
  bind: { x: value, norm: node },
  pattern: (op, $) => $.norm(op.MeanVarianceNormalization($.x)),
  check: ({ x }, site) => ranked(x, 1, site),
  replace: ({ x, norm }, op) => {
    const axes = Tensor.ints(norm.ints('axes', [0, 2, 3]));
    const apart = op.Sub(x, op.ReduceMean(x, axes, { keepdims: 1 }));
    const variance = op.ReduceMean(op.Mul(apart, apart), axes, { keepdims: 1 });
    return op.Div(apart, op.Add(op.Sqrt(variance), op.scalar(1e-9, x.dtype!)));
  },
});

/**
 * The sum over neighbouring channels, divided by their number, is an average over a window of channels, borders
 * counted: AveragePool over [N, 1, C, everything else]. A window of `size` reaches ⌊(size − 1)/2⌋ channels back.
 */
const localResponse = rewrite({
  name: 'local-response',
  doc: 'LRN<size, α, β, bias>(x) → x / (bias + α·AveragePool(x² over channels))^β',
  needs: ['typed'],
  bind: { x: value, norm: node },
  pattern: (op, $) => $.norm(op.LRN($.x)),
  check: ({ x }, site) => {
    const channels = x.shape?.[1];
    return typeof channels === 'number'
      ? ranked(x, 3, site)
      : no(`the number of channels of ${x.name} is unknown`, x);
  },
  replace: ({ x, norm }, op) => {
    const dtype = x.dtype!;
    const size = norm.int('size', 1);
    const square = op.Reshape(op.Mul(x, x), Tensor.ints([0, 1, x.shape![1] as number, -1]));
    const mean = op.AveragePool(square, {
      kernel_shape: [size, 1],
      pads: [Math.floor((size - 1) / 2), 0, Math.ceil((size - 1) / 2), 0],
      count_include_pad: 1,
    });
    const scaled = op.Mul(op.Reshape(mean, shapeOf(x, op)), op.scalar(norm.float('alpha', 1e-4), dtype));
    const base = op.Add(scaled, op.scalar(norm.float('bias', 1), dtype));
    return op.Div(x, op.Pow(base, op.scalar(norm.float('beta', 0.75), dtype)));
  },
});

export const lowerNormalizations = rewrite.group(
  'lower-normalizations',
  'GroupNormalization, MeanVarianceNormalization, LRN → InstanceNormalization, means, an AveragePool over channels',
  [group, meanVariance, localResponse],
);
