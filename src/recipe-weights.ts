/** The passes that make weights of few bits, in their order. */
import { compressWeights } from '../passes/compress-weights.js';
import { mixWeights } from '../passes/mix-weights.js';
import { protectLayers } from '../passes/protect-layers.js';
import { quantizeWeightsNbits } from '../passes/quantize-weights-nbits.js';
import { scaleSalientChannels } from '../passes/scale-salient-channels.js';
import type { Pass } from './pipeline/pass.js';

/** Each passes by where nobody asked for what it does. What no kernel of few bits takes is stored in int8 at the end. */
export const WEIGHT_PASSES: readonly Pass[] = [
  protectLayers,
  mixWeights,
  scaleSalientChannels,
  quantizeWeightsNbits,
  compressWeights,
];
