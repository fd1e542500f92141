import {
  constant,
  constantOf,
  type Node,
  no,
  node,
  type ReplacementBuilder,
  type ReplacementInput,
  readsFunctionAttributes,
  rewrite,
  Tensor,
  type Value,
  type Verdict,
  value,
} from '../src/index.js';

/** The axis that is put in, in front of the one that there is: [N, C, L] as a picture of one row, [N, C, 1, L]. */
const ROW = Tensor.ints([2]);
const isRow = (axes: Tensor): boolean => axes.count === 1 && axes.toNumbers()[0] === 2;

const threeAxes = ({ x, node }: { readonly x: Value; readonly node: Node }): Verdict => {
  if (readsFunctionAttributes(node)) return no('the caller decides its attributes', node);
  return (
    x.shape?.length === 3 || no(`${x.name} has ${x.shape?.length ?? 'an unknown number of'} dimensions`, x)
  );
};

/** Attributes that hold a number an axis, with what the new axis wants; pads hold one a border. */
function widened(of: Node): Record<string, readonly number[] | undefined> {
  const wider: Record<string, readonly number[] | undefined> = {};
  const neutral = { kernel_shape: 1, strides: 1, dilations: 1, output_padding: 0, output_shape: 1 };
  for (const [name, one] of Object.entries(neutral)) {
    const numbers = of.ints(name);
    if (numbers !== undefined) wider[name] = [one, ...numbers];
  }
  const pads = of.ints('pads');
  if (pads !== undefined) wider['pads'] = [0, pads[0]!, 0, pads[1]!];
  return wider;
}

/** A weight [O, I, K] as [O, I, 1, K]: the same bytes where it is constant. */
function wideWeight(w: Value, op: ReplacementBuilder): ReplacementInput {
  const tensor = constantOf(w);
  if (tensor === undefined) return op.Unsqueeze(w, ROW);
  const [outputs, inputs, kernel] = tensor.shape as readonly [number, number, number];
  return tensor.with({ shape: [outputs, inputs, 1, kernel] });
}

const convolution = rewrite({
  name: 'convolution',
  doc: 'Conv, ConvTranspose over [N, C, L] → over [N, C, 1, L]',
  needs: ['typed'],
  opset: 13,
  bind: { x: value, w: value, b: value.optional, node },
  pattern: (op, $) => $.node(op.oneOf('Conv', 'ConvTranspose')($.x, $.w, $.b)),
  check: (match) =>
    match.w.shape?.length === 3 ? threeAxes(match) : no(`the rank of ${match.w.name} is unknown`, match.w),
  replace: ({ x, w, b, node }, op) => {
    const wide = op.Unsqueeze(x, ROW);
    return op.Squeeze(op.like(node)[node.opType as 'Conv'](wide, wideWeight(w, op), b, widened(node)), ROW);
  },
});

const pool = rewrite({
  name: 'pool',
  doc: 'pools over [N, C, L] → over [N, C, 1, L]',
  needs: ['typed'],
  opset: 13,
  bind: { x: value, node },
  pattern: (op, $) =>
    $.node(
      op.oneOf('MaxPool', 'AveragePool', 'LpPool', 'GlobalMaxPool', 'GlobalAveragePool', 'GlobalLpPool')($.x),
    ),
  check: (match) =>
    match.node.outputs.length > 1 ? no('its indices are read', match.node) : threeAxes(match),
  replace: ({ x, node }, op) =>
    op.Squeeze(op.like(node)[node.opType as 'MaxPool'](op.Unsqueeze(x, ROW), widened(node)), ROW),
});

/** What changes each element by itself does not care about an axis of one. */
const sink = rewrite({
  name: 'sink',
  doc: 'f(Squeeze(x)) → Squeeze(f(x)), for f of single elements: so that two borders meet',
  needs: ['typed'],
  opset: 13,
  bind: { x: value, axis: constant, node },
  pattern: (op, $) =>
    $.node(
      op.oneOf(
        'Relu',
        'Sigmoid',
        'Tanh',
        'LeakyRelu',
        'HardSigmoid',
        'HardSwish',
        'Elu',
        'Gelu',
        'Softplus',
        'Sqrt',
        'Exp',
        'Log',
        'Abs',
        'Neg',
      )(op.Squeeze($.x, $.axis)),
    ),
  check: ({ axis, node }) => {
    if (!isRow(axis)) return no('another axis is squeezed', node);
    return !readsFunctionAttributes(node) || no('the caller decides its attributes', node);
  },
  replace: ({ x, node }, op) => op.Squeeze(op.like(node)[node.opType as 'Relu'](x), ROW),
});

const meet = rewrite({
  name: 'meet',
  doc: 'Unsqueeze(Squeeze(x)) → x, along the same axis',
  needs: ['typed'],
  opset: 13,
  bind: { x: value, out: constant, axis: constant },
  pattern: (op, $) => op.Unsqueeze(op.Squeeze($.x, $.out).shared(), $.axis),
  check: ({ x, out, axis }) => (isRow(out) && isRow(axis)) || no('they mean different axes', x),
  replace: ({ x }) => x,
});

export const lowerOneDimensional = rewrite.group(
  'lower-one-dimensional',
  'Conv, ConvTranspose and pools over one axis → over two, the first of size 1',
  [convolution, pool, sink, meet],
);
