import {
  no,
  node,
  readsFunctionAttributes,
  rewrite,
  type Site,
  Tensor,
  type Value,
  type Verdict,
  value,
} from '../src/index.js';

/** Constants are written in the input's own type, so it must be known, and one that they can be written in. */
function floating({ x }: { readonly x: Value }, { root }: Site): Verdict {
  if (readsFunctionAttributes(root)) return no('the caller decides its attributes', root);
  return (
    x.dtype === 'float' || x.dtype === 'float16' || no(`its input is ${x.dtype ?? 'of an unknown type'}`, x)
  );
}

const softsign = rewrite({
  name: 'softsign',
  doc: 'Softsign(x) → x / (1 + |x|)',
  needs: ['typed'],
  bind: { x: value },
  pattern: (op, $) => op.Softsign($.x),
  check: floating,
  replace: ({ x }, op) => op.Div(x, op.Add(op.Abs(x), op.scalar(1, x.dtype!))),
});

/** SELU's published constants, which are the attributes' defaults. */
const SELU = { alpha: 1.6732631921768188, gamma: 1.0507010221481323 };

const selu = rewrite({
  name: 'selu',
  doc: 'Selu<α, γ>(x) → γ·Elu<α>(x)',
  needs: ['typed'],
  bind: { x: value, selu: node },
  pattern: (op, $) => $.selu(op.Selu($.x)),
  check: floating,
  replace: ({ x, selu }, op) =>
    op.Mul(
      op.Elu(x, { alpha: selu.float('alpha', SELU.alpha) }),
      op.scalar(selu.float('gamma', SELU.gamma), x.dtype!),
    ),
});

/** For α > 0, x and x/α have one sign: α·Elu(x/α) is x above zero, and α·(exp(x/α) − 1) below. */
const celu = rewrite({
  name: 'celu',
  doc: 'Celu<α>(x) → α·Elu<1>(x/α), for α > 0',
  needs: ['typed'],
  bind: { x: value, celu: node },
  pattern: (op, $) => $.celu(op.Celu($.x)),
  check: (match, site) =>
    match.celu.float('alpha', 1) > 0 ? floating(match, site) : no('alpha is not positive', match.celu),
  replace: ({ x, celu }, op) => {
    const alpha = op.scalar(celu.float('alpha', 1), x.dtype!);
    return op.Mul(op.Elu(op.Div(x, alpha), { alpha: 1 }), alpha);
  },
});

const shrink = rewrite({
  name: 'shrink',
  doc: 'Shrink<λ, b>(x) → x + b below −λ, x − b above λ, else 0',
  needs: ['typed'],
  bind: { x: value, shrink: node },
  pattern: (op, $) => $.shrink(op.Shrink($.x)),
  check: floating,
  replace: ({ x, shrink }, op) => {
    const dtype = x.dtype!;
    const lambd = shrink.float('lambd', 0.5);
    const bias = op.scalar(shrink.float('bias', 0), dtype);
    const above = op.Where(op.Greater(x, op.scalar(lambd, dtype)), op.Sub(x, bias), op.scalar(0, dtype));
    return op.Where(op.Less(x, op.scalar(-lambd, dtype)), op.Add(x, bias), above);
  },
});

/** The largest element is taken off first, as ONNX Runtime does, so that no exponential overflows. */
const logSoftmax = rewrite({
  name: 'log-softmax',
  doc: 'LogSoftmax(x) → d − log Σ exp(d), d = x − max x',
  needs: ['typed'],
  opset: 18,
  bind: { x: value, softmax: node },
  pattern: (op, $) => $.softmax(op.LogSoftmax($.x)),
  check: floating,
  replace: ({ x, softmax }, op) => {
    const axes = Tensor.ints([softmax.int('axis', -1)]);
    const shifted = op.Sub(x, op.ReduceMax(x, axes, { keepdims: 1 }));
    return op.Sub(shifted, op.Log(op.ReduceSum(op.Exp(shifted), axes, { keepdims: 1 })));
  },
});

/** Of several largest elements the first is meant: the one up to which just one has been counted. */
const hardmax = rewrite({
  name: 'hardmax',
  doc: 'Hardmax(x) → 1 where x is the first largest element, else 0',
  needs: ['typed'],
  opset: 18,
  bind: { x: value, hardmax: node },
  pattern: (op, $) => $.hardmax(op.Hardmax($.x)),
  check: floating,
  replace: ({ x, hardmax }, op) => {
    const dtype = x.dtype!;
    const axis = hardmax.int('axis', -1);
    const largest = op.Equal(x, op.ReduceMax(x, Tensor.ints([axis]), { keepdims: 1 }));
    const ones = op.Where(largest, op.scalar(1, dtype), op.scalar(0, dtype));
    const count = op.CumSum(ones, op.scalar(axis, 'int64'));
    return op.Where(op.Equal(count, op.scalar(1, dtype)), ones, op.scalar(0, dtype));
  },
});

export const lowerActivations = rewrite.group(
  'lower-activations',
  'Softsign, Selu, Celu, Shrink, LogSoftmax, Hardmax → the arithmetic that defines them',
  [softsign, selu, celu, shrink, logSoftmax, hardmax],
);
