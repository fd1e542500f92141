import {
  constant,
  type Node,
  no,
  node,
  rewrite,
  scalar,
  type Tensor,
  type Value,
  type Verdict,
  value,
} from '../src/index.js';

const bind = {
  x: value,
  amounts: constant,
  fill: scalar.optional,
  axes: constant.optional,
  pad: node,
  window: node,
};

/** What a Pad adds before and after each spatial dimension, as Conv and the pools write it; a reason when it does more. */
function spatialPads(x: Value, amounts: Tensor, axes: Tensor | undefined): number[] | string {
  const rank = x.shape?.length ?? (axes === undefined ? amounts.count / 2 : undefined);
  if (rank === undefined || rank < 3) return `the rank of ${x.name} is not known to be 3 or more`;
  const which = axes?.toNumbers().map((axis) => (axis < 0 ? axis + rank : axis)) ?? [...Array(rank).keys()];
  const given = amounts.toNumbers();
  const pads = new Array<number>(2 * (rank - 2)).fill(0);
  for (const [at, axis] of which.entries()) {
    for (const [side, amount] of [given[at]!, given[at + which.length]!].entries()) {
      if (amount < 0) return 'it crops';
      if (amount > 0 && axis < 2) return 'it pads batch or channels';
      if (axis >= 2) pads[axis - 2 + side * (rank - 2)]! += amount;
    }
  }
  return pads;
}

/** The window's own pads, when they are plain numbers to which others can be added. */
function ownPads(window: Node, count: number): number[] | string {
  const mode = window.string('auto_pad', 'NOTSET');
  // VALID means no padding at all; SAME depends on the size of what comes in.
  if (mode !== 'NOTSET' && mode !== 'VALID') return `auto_pad is ${mode}`;
  return mode === 'VALID'
    ? new Array<number>(count).fill(0)
    : window.ints('pads', new Array<number>(count).fill(0));
}

type Parts = { x: Value; amounts: Tensor; axes: Tensor | undefined; window: Node };

function summedPads({ x, amounts, axes, window }: Parts): number[] | string {
  const pads = spatialPads(x, amounts, axes);
  if (typeof pads === 'string') return pads;
  const own = ownPads(window, pads.length);
  return typeof own === 'string' ? own : pads.map((each, at) => each + own[at]!);
}

const constantMode = { mode: (mode = 'constant') => mode === 'constant' };

/** Pools of ONNX Runtime want every pad smaller than the kernel; rounding up would count windows otherwise. */
function judgePool(parts: Parts): Verdict {
  const { window } = parts;
  const pads = summedPads(parts);
  if (typeof pads === 'string') return no(pads, window);
  if (window.int('ceil_mode', 0) !== 0)
    return no('ceil_mode counts windows by the size that comes in', window);
  if (window.ints('dilations', []).some((each) => each !== 1)) return no('the window is dilated', window);
  const kernel = window.ints('kernel_shape', []);
  const fits = pads.every((each, at) => each < kernel[at % kernel.length]!);
  return fits || no('a window would lie in the padding alone', window);
}

const isZero = (fill: number | undefined): true | string =>
  (fill ?? 0) === 0 || `it pads with ${fill}, not with 0`;

const intoConv = rewrite({
  name: 'into-conv',
  doc: 'Conv(Pad(x, 0)) → Conv<pads>(x): Conv pads with zeros',
  needs: ['typed'],
  bind: { ...bind, w: value, b: value.optional },
  pattern: (op, $) =>
    $.window(op.Conv($.pad(op.Pad($.x, $.amounts, $.fill, $.axes, constantMode)), $.w, $.b)),
  check: ({ fill, pad, ...parts }) => {
    const zero = isZero(fill);
    if (zero !== true) return no(zero, pad);
    const pads = summedPads(parts);
    return typeof pads !== 'string' || no(pads, pad);
  },
  replace: ({ w, b, ...parts }, op) =>
    op.like(parts.window).Conv(parts.x, w, b, { pads: summedPads(parts) as number[], auto_pad: undefined }),
});

const intoAveragePool = rewrite({
  name: 'into-average-pool',
  doc: 'AveragePool(Pad(x, 0)) → AveragePool<pads, count_include_pad = 1>(x): zeros that are counted',
  needs: ['typed'],
  bind,
  pattern: (op, $) => $.window(op.AveragePool($.pad(op.Pad($.x, $.amounts, $.fill, $.axes, constantMode)))),
  check: ({ fill, pad, ...parts }) => {
    const zero = isZero(fill);
    if (zero !== true) return no(zero, pad);
    const { window } = parts;
    const padded = window.ints('pads', []).some((each) => each !== 0);
    if (padded && window.int('count_include_pad', 0) === 0)
      return no('its own padding is not counted', window);
    return judgePool(parts);
  },
  replace: ({ window, ...parts }, op) =>
    op.like(window).AveragePool(parts.x, {
      pads: summedPads({ ...parts, window }) as number[],
      auto_pad: undefined,
      count_include_pad: 1,
    }),
});

/** Operators whose results are never negative. */
const NON_NEGATIVE = new Set(['Relu', 'Sigmoid', 'HardSigmoid', 'Softmax', 'Abs', 'Exp']);

/** MaxPool pads with what never wins: −∞ does so always, a number up to 0 where nothing is negative. */
function neverWins(x: Value, fill: number | undefined): true | string {
  if (fill === Number.NEGATIVE_INFINITY) return true;
  const { producer } = x;
  if ((fill ?? 0) <= 0 && producer?.domain === '' && NON_NEGATIVE.has(producer.opType)) return true;
  return `its padding of ${fill ?? 0} may be the maximum`;
}

const intoMaxPool = rewrite({
  name: 'into-max-pool',
  doc: 'MaxPool(Pad(x, p)) → MaxPool<pads>(x), where p is −∞ or no more than any x',
  needs: ['typed'],
  bind,
  pattern: (op, $) => $.window(op.MaxPool($.pad(op.Pad($.x, $.amounts, $.fill, $.axes, constantMode)))),
  check: ({ fill, pad, ...parts }) => {
    const legal = neverWins(parts.x, fill);
    if (legal !== true) return no(legal, pad);
    return judgePool(parts);
  },
  replace: ({ window, ...parts }, op) =>
    op
      .like(window)
      .MaxPool(parts.x, { pads: summedPads({ ...parts, window }) as number[], auto_pad: undefined }),
});

export const fusePad = rewrite.group(
  'fuse-pad',
  'Pad of constants before Conv, AveragePool, MaxPool → their pads, where theirs mean the same number',
  [intoConv, intoAveragePool, intoMaxPool],
);
