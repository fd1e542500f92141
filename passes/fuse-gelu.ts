import { type Pattern, type PatternBuilder, type PatternInput, rewrite, value } from '../src/index.js';

const ROOT_OF_2 = Math.SQRT2;
const ROOT_OF_2_BY_PI = Math.sqrt(2 / Math.PI);
/** Exporters print these numbers with as few as five digits. */
const TOLERANCE = 1e-4;

/** x/2·(1 + f) however its product is ordered. */
function halfOf(op: PatternBuilder, x: PatternInput, f: Pattern): Pattern {
  const sum = op.Add(f, 1);
  const half = (each: PatternInput): Pattern => op.anyOf(op.Mul(each, 0.5), op.Div(each, 2));
  return op.anyOf(
    half(op.Mul(x, sum)),
    op.Mul(half(x), sum),
    op.Mul(x, half(sum)),
    op.Mul(x, op.Add(op.Mul(f, 0.5), 0.5)),
  );
}

const erf = rewrite({
  name: 'erf',
  doc: 'x/2·(1 + erf(x/√2)) → Gelu(x)',
  opset: 20,
  bind: { x: value },
  pattern: (op, $) => {
    const scaled = op.anyOf(
      op.Div($.x, op.near(ROOT_OF_2, TOLERANCE)),
      op.Mul($.x, op.near(1 / ROOT_OF_2, TOLERANCE)),
    );
    return halfOf(op, $.x, op.Erf(scaled));
  },
  replace: ({ x }, op) => op.Gelu(x),
});

const tanh = rewrite({
  name: 'tanh',
  doc: 'x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))) → Gelu<approximate = "tanh">(x)',
  opset: 20,
  bind: { x: value },
  pattern: (op, $) => {
    const factor = op.near(ROOT_OF_2_BY_PI, TOLERANCE);
    const cubic = op.near(0.044715, TOLERANCE);
    const square = op.anyOf(op.Mul($.x, $.x), op.Pow($.x, 2));
    const cube = op.anyOf(op.Pow($.x, 3), op.Mul($.x, square));
    const summand = op.anyOf(
      op.Mul(cube, cubic),
      op.Mul($.x, op.Mul(square, cubic)),
      op.Mul(square, op.Mul($.x, cubic)),
    );
    const series = op.Add(op.Mul(square, cubic), 1);
    const inner = op.anyOf(
      op.Mul(op.Add($.x, summand), factor),
      op.Mul(op.Mul($.x, factor), series),
      op.Mul($.x, op.Mul(series, factor)),
      op.Mul(op.Mul($.x, series), factor),
    );
    return halfOf(op, $.x, op.Tanh(inner));
  },
  replace: ({ x }, op) => op.Gelu(x, { approximate: 'tanh' }),
});

export const fuseGelu = rewrite.group(
  'fuse-gelu',
  'x/2·(1 + erf(x/√2)), or tanh in its place → Gelu(x), its approximation said by an attribute',
  [erf, tanh],
);
