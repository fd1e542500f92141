import { constant, node, rewrite, type Tensor, type Value, value } from '../src/index.js';

const bind = { x: value, bias: constant, gelu: node };

const isChannels = (x: Value, bias: Tensor): true | string => {
  if (x.dtype !== 'float' || bias.dtype !== 'float')
    return `${x.name} is ${x.dtype ?? 'of an unknown type'}, not float`;
  const last = x.shape?.at(-1);
  return (
    (bias.shape.length === 1 && bias.shape[0] === last) ||
    `the summand is [${bias.shape}], not one number a channel`
  );
};

const exact = rewrite({
  name: 'bias-gelu',
  doc: 'Gelu(x + b) → BiasGelu(x, b)',
  needs: ['typed'],
  bind,
  pattern: (op, $) =>
    $.gelu(op.Gelu(op.Add($.x, $.bias), { approximate: (mode = 'none') => mode === 'none' })),
  check: ({ x, bias }) => isChannels(x, bias),
  replace: ({ x, bias }, op) => op.domain('com.microsoft').BiasGelu(x, bias),
});

const approximate = rewrite({
  name: 'fast-gelu',
  doc: 'Gelu<approximate = "tanh">(x + b) → FastGelu(x, b)',
  needs: ['typed'],
  bind,
  pattern: (op, $) => $.gelu(op.Gelu(op.Add($.x, $.bias), { approximate: 'tanh' })),
  check: ({ x, bias }) => isChannels(x, bias),
  replace: ({ x, bias }, op) => op.domain('com.microsoft').FastGelu(x, bias),
});

/** For targets that keep the product before it apart from its bias. Not before integers: the sum is then free. */
export const fuseBiasGelu = rewrite.group(
  'fuse-bias-gelu',
  'Gelu(x + b) → com.microsoft.BiasGelu(x, b), or FastGelu(x, b) where it is approximated; their definitions',
  [exact, approximate],
);
