import type { Model } from '../ir/graph.js';
import { beyondEightBits } from './eight-bits.js';
import { PROFILES, type Profile, type Target } from './target.js';

export const isProfile = (precision: string): precision is Profile =>
  (PROFILES as readonly string[]).includes(precision);

/** A target that takes graphs whole, asked for the bits of a profile; any other target, and any other precision, as is. */
export function profiled(target: Target, precision: string): Target {
  if (target.whole === undefined || !isProfile(precision)) return target;
  const { activation, weight } = target;
  const wide = precision.startsWith('a16');
  return {
    ...target,
    activation: {
      ...activation,
      ...(activation.wide && { wantsWide: wide ? () => true : (node) => beyondEightBits(node) ?? false }),
    },
    weight: { ...weight, ...(precision === 'a16w4' && { wantsFour: () => true }) },
  };
}

/**
 * What serves a model when nothing is said: where two computed tensors are multiplied, as attention does, 8 bits of
 * activations lose too much.
 * @param model as it was read
 */
export function profileFor(model: Model): Profile {
  for (const graph of model.graphs()) {
    for (const node of graph.nodes()) {
      if (!node.is('MatMul') && !node.is('Einsum')) continue;
      if (node.inputs.every((input) => input && !input.isConstant && !input.producer?.is('Constant')))
        return 'a16w8';
    }
  }
  return 'a8w8';
}
