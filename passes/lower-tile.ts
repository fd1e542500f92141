import { constantNumbers, no, node, type ReplacementInput, rewrite, value } from '../src/index.js';

/** More copies than this would be a Concat of many inputs. */
const MOST = 64;

/** A copy along an axis is the value joined to itself. */
export const lowerTile = rewrite({
  name: 'lower-tile',
  doc: 'Tile(x, n) → Concat(x, x …) along each axis that repeats',
  opset: 13,
  bind: { x: value, repeats: value, node },
  pattern: (op, $) => $.node(op.Tile($.x, $.repeats)),
  check: ({ repeats, node }) => {
    const times = constantNumbers(repeats);
    if (times === undefined) return no('how often it repeats is not constant', node);
    return times.every((each) => each >= 1 && each <= MOST) || no(`it repeats ${times} times`, node);
  },
  replace: ({ x, repeats }, op) => {
    let made: ReplacementInput = x;
    for (const [axis, times] of constantNumbers(repeats)!.entries()) {
      const one = made;
      if (times > 1) made = op.Concat(...Array.from({ length: times }, () => one), { axis });
    }
    return made;
  },
});
