import {
  isStatic,
  type Node,
  no,
  node,
  readsFunctionAttributes,
  rewrite,
  type Value,
  type Verdict,
  value,
} from '../src/index.js';

/** The longest window that is left in one piece. */
const MOST = 5;

/** A pool over two axes with everything written out; undefined where something is not told or not plain. */
interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  /** Before, of each axis, then behind. */
  readonly pads: readonly number[];
}

function windowOf(pool: Node): Window | undefined {
  const kernel = pool.ints('kernel_shape');
  if (kernel?.length !== 2 || readsFunctionAttributes(pool)) return undefined;
  const plain =
    pool.string('auto_pad', 'NOTSET') === 'NOTSET' &&
    pool.int('ceil_mode', 0) === 0 &&
    (pool.ints('dilations') ?? []).every((each) => each === 1);
  if (!plain) return undefined;
  return { kernel, strides: pool.ints('strides') ?? [1, 1], pads: pool.ints('pads') ?? [0, 0, 0, 0] };
}

const oneOutput = (pool: Node): Verdict => pool.outputs.length === 1 || no('its indices are read', pool);

/**
 * The largest of a window is the largest of the largest of smaller windows that cover it: k = k₁ + k₂ − 1. Borders are
 * −∞ in both, so pads share out in the same way; the stride is that of the last. Windows of one size that begin at one
 * value share their steps.
 */
const cascade = rewrite({
  name: 'cascade',
  doc: 'MaxPool of k × k → MaxPool of 5 × 5, then of what remains: k = 5 + k₂ − 1',
  bind: { x: value, pool: node },
  pattern: (op, $) => $.pool(op.MaxPool($.x)),
  check: ({ pool }) => {
    const window = windowOf(pool);
    if (window === undefined) return no('its window is not plain', pool);
    if (window.kernel.every((each) => each <= MOST)) return no('its window is small', pool);
    return oneOutput(pool);
  },
  replace: ({ x, pool }, op) => {
    const { kernel, strides, pads } = windowOf(pool)!;
    const first = kernel.map((each) => Math.min(each, MOST));
    const rest = kernel.map((each, at) => each - first[at]! + 1);
    // A border must be narrower than its window, in both steps, or a window would hold nothing else.
    const taken = pads.map((pad, at) =>
      Math.max(Math.min(pad, Math.floor((first[at % 2]! - 1) / 2)), pad - (rest[at % 2]! - 1)),
    );
    const step = op.MaxPool(x, { kernel_shape: first, pads: taken, strides: [1, 1] });
    return op.like(pool).MaxPool(step, {
      kernel_shape: rest,
      pads: pads.map((pad, at) => pad - taken[at]!),
      strides,
    });
  },
});

const covers = (x: Value, pool: Node): Verdict => {
  const window = windowOf(pool);
  const [, , ...sizes] = x.shape ?? [];
  if (window === undefined || !isStatic(sizes) || sizes.length !== 2)
    return no('its window is not plain, or the size of its input is not known', pool);
  if (window.pads.some((each) => each !== 0)) return no('it has borders', pool);
  return window.kernel.every((each, at) => each === sizes[at]) || no('its window does not cover all', pool);
};

const whole = rewrite({
  name: 'whole',
  doc: 'a pool whose window is the whole picture → the global pool',
  needs: ['typed'],
  bind: { x: value, pool: node },
  pattern: (op, $) => $.pool(op.oneOf('AveragePool', 'MaxPool')($.x)),
  check: ({ x, pool }) => {
    const alone = oneOutput(pool);
    return alone === true ? covers(x, pool) : alone;
  },
  replace: ({ x, pool }, op) => (pool.is('MaxPool') ? op.GlobalMaxPool(x) : op.GlobalAveragePool(x)),
});

/** Where there are no borders it makes no difference whether they count. */
const borders = rewrite({
  name: 'borders',
  doc: 'AveragePool<count_include_pad = 1> without pads → without it',
  bind: { x: value, pool: node },
  pattern: (op, $) => $.pool(op.AveragePool($.x)),
  check: ({ pool }) => {
    if (pool.int('count_include_pad', 0) === 0) return no('borders do not count', pool);
    const window = windowOf(pool);
    return (window?.pads.every((each) => each === 0) ?? false) || no('it may have borders', pool);
  },
  replace: ({ x, pool }, op) => op.like(pool).AveragePool(x, { count_include_pad: undefined }),
});

export const lowerPools = rewrite.group(
  'lower-pools',
  'large windows of MaxPool → cascades of small ones; windows over everything → global pools',
  [whole, borders, cascade],
);
