import { boundMasks } from '../passes/bound-masks.js';
import { calibrateRanges } from '../passes/calibrate-ranges.js';
import { chooseRanges } from '../passes/choose-ranges.js';
import { completeQuantizers } from '../passes/complete-quantizers.js';
import { compressWeights } from '../passes/compress-weights.js';
import { computeOnIntegers } from '../passes/compute-on-integers.js';
import { convertToHalf } from '../passes/convert-to-half.js';
import { deadCode } from '../passes/dead-code.js';
import { deduplicateInitializers } from '../passes/deduplicate-initializers.js';
import { dropDefaultAttributes } from '../passes/drop-default-attributes.js';
import { finiteMasks } from '../passes/finite-masks.js';
import { canonicalization, fusionsNamed, loweringsNamed } from '../passes/index.js';
import { insertQdq } from '../passes/insert-qdq.js';
import { keepFloat } from '../passes/keep-float.js';
import { lowerMagnitudes } from '../passes/lower-magnitudes.js';
import { mixActivations, mixWeightBits } from '../passes/mix-widths.js';
import { moveBatchTransposes } from '../passes/move-batch-transposes.js';
import { nameNodes } from '../passes/name-nodes.js';
import { palettizeWeights } from '../passes/palettize-weights.js';
import { placeOnExecutor } from '../passes/place-on-executor.js';
import { planIntegerKernels } from '../passes/plan-integer-kernels.js';
import { protectLayers } from '../passes/protect-layers.js';
import { pruneWeights } from '../passes/prune-weights.js';
import { quantizeAttention } from '../passes/quantize-attention.js';
import { quantizeDynamic } from '../passes/quantize-dynamic.js';
import { quantizeRecurrent } from '../passes/quantize-recurrent.js';
import { shortenNames } from '../passes/shorten-names.js';
import type { Pass } from './pipeline/pass.js';
import type { Algorithm } from './plugin/plugin.js';
import { algorithmsNamed } from './recipe-algorithms.js';
import type { Precision } from './recipe-precisions.js';
import { WEIGHT_PASSES } from './recipe-weights.js';
import { isProfile } from './target/profiled.js';

export { ALGORITHMS, algorithmsNamed } from './recipe-algorithms.js';
export { type Circumstances, type PrecisionChoice, precisionFor, staticPrecisionFor } from './recipe-auto.js';
export { PRECISIONS, type Precision, parsePrecision } from './recipe-precisions.js';

/** Arithmetic in 16 bits, and what sessions need to take it. */
const IN_HALF: readonly Pass[] = [convertToHalf, moveBatchTransposes, nameNodes];

/** The passes of one compilation: first those that change no result, then those that make it small. */
export interface Recipe {
  readonly canonicalize: readonly Pass[];
  /** Into the executor's own operators, and away from those that it lacks; these change no result either. */
  readonly adapt: readonly Pass[];
  readonly quantize: readonly Pass[];
  readonly finish: readonly Pass[];
}

/** What becomes operators of the executor, by the names of fusions, and whether a decoder gets a cache. */
export interface Rewriting {
  readonly fusions?: readonly string[];
  readonly kvCache?: boolean;
  /** What the target wants lowered; nothing for the CPU, which takes everything. */
  readonly lowerings?: readonly string[] | undefined;
  /** The executor is another than the CPU, so that nodes are placed on either. */
  readonly beside?: boolean;
}

/** What makes the numbers small, with the chosen algorithms in their places. */
function quantizing(precision: Exclude<Precision, 'auto'>, chosen: readonly Algorithm[]): readonly Pass[] {
  const at = (stage: Algorithm['stage']) =>
    chosen.filter((each) => each.stage === stage).map(({ pass }) => pass);
  switch (precision) {
    case 'int8':
      return [
        protectLayers,
        ...at('float'),
        keepFloat,
        planIntegerKernels,
        calibrateRanges,
        chooseRanges,
        ...at('plan'),
        insertQdq,
        quantizeAttention,
        quantizeRecurrent,
        compressWeights,
        ...at('integers'),
      ];
    case 'a8w8':
    case 'a16w8':
    case 'a16w4':
    case 'mixed':
      return [
        finiteMasks,
        lowerMagnitudes,
        ...at('float'),
        keepFloat,
        planIntegerKernels,
        calibrateRanges,
        boundMasks,
        chooseRanges,
        ...(precision === 'mixed' ? [mixActivations] : []),
        ...(precision === 'a16w4' ? [mixWeightBits] : []),
        insertQdq,
        ...at('integers'),
      ];
    case 'int8-dynamic':
      return [
        protectLayers,
        keepFloat,
        quantizeDynamic,
        quantizeAttention,
        quantizeRecurrent,
        compressWeights,
        ...at('integers'),
      ];
    case 'int8-weights':
      return [protectLayers, keepFloat, compressWeights, ...at('integers'), convertToHalf];
    case 'int4':
    case 'int2':
    case 'int8-blocks':
    case 'auto-weights':
      return [...WEIGHT_PASSES, ...IN_HALF];
    case 'fp16':
    case 'bf16':
      return [palettizeWeights, ...IN_HALF];
    case 'float':
      return [palettizeWeights];
  }
}

/**
 * The ordered passes for a precision.
 * @param algorithms names of those that shall run; default those that run when nothing is said
 * @param rewriting into the executor's own operators, after the graph is canonical
 * @param plugged algorithms of plugins, to be named like ours
 */
export function recipeFor(
  precision: Exclude<Precision, 'auto'>,
  algorithms?: readonly string[],
  rewriting: Rewriting = {},
  plugged: readonly Algorithm[] = [],
): Recipe {
  return {
    canonicalize: canonicalization,
    adapt: [
      ...fusionsNamed(rewriting.fusions ?? [], rewriting.kvCache),
      ...loweringsNamed(rewriting.lowerings ?? []),
    ],
    quantize: [
      pruneWeights,
      ...quantizing(precision, algorithmsNamed(algorithms, plugged)),
      ...(rewriting.beside ? [placeOnExecutor] : []),
    ],
    finish:
      precision === 'float'
        ? []
        : [
            ...(precision === 'int8' ? [computeOnIntegers] : []),
            ...(precision === 'int8' || isProfile(precision) ? [completeQuantizers] : []),
            deadCode,
            deduplicateInitializers,
            dropDefaultAttributes,
            // The provider wants every node named.
            isProfile(precision) ? nameNodes : shortenNames,
          ],
  };
}
