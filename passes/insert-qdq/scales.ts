import type { NodePlan } from '../../src/index.js';

/** Where the scales of a weight lie: one for each index along an axis, or for so many of them; without one, one for all. */
export interface Scales {
  readonly axis?: number | undefined;
  readonly blockSize?: number | undefined;
}

/** Where they lie in the weight that a kernel of the plan reads, as its row says. */
export function scalesOf({ node, row, wide, weightBits }: NodePlan): Scales {
  if (weightBits === 16 && row.sixteenBits?.(node) === 'uint16') return {};
  const block = row.weightBlock?.(node);
  return block
    ? { axis: block.axis, blockSize: block.size }
    : { axis: row.weightAxis?.(node, wide === true) };
}
