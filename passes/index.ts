import { type Pass, QuantcError, repeatPasses } from '../src/index.js';
import { addKvCache } from './add-kv-cache.js';
import { commonSubexpressions } from './common-subexpressions.js';
import { constantsToInitializers } from './constants-to-initializers.js';
import { deadCode } from './dead-code.js';
import { deduplicateInitializers } from './deduplicate-initializers.js';
import { dropNoOps } from './drop-no-ops.js';
import { flattenLayerNormalization } from './flatten-layer-normalization.js';
import { foldAffine } from './fold-affine.js';
import { foldBatchNormalization } from './fold-batch-normalization.js';
import { foldConstants } from './fold-constants.js';
import { fuseBiasGelu } from './fuse-bias-gelu.js';
import { fuseGelu } from './fuse-gelu.js';
import { fuseGroupQueryAttention } from './fuse-group-query-attention.js';
import { fuseHardSigmoid } from './fuse-hard-sigmoid.js';
import { fuseHardSwish } from './fuse-hard-swish.js';
import { fuseLayerNormalization } from './fuse-layer-normalization.js';
import { fuseMultiHeadAttention } from './fuse-multi-head-attention.js';
import { fusePad } from './fuse-pad.js';
import { fuseRmsNormalization } from './fuse-rms-normalization.js';
import { fuseRotaryEmbedding } from './fuse-rotary-embedding.js';
import { fuseSilu } from './fuse-silu.js';
import { fuseSkipNormalization } from './fuse-skip-normalization.js';
import { fuseSoftmax } from './fuse-softmax.js';
import { fuseSoftplusMish } from './fuse-softplus-mish.js';
import { gemmToMatmulAdd } from './gemm-to-matmul-add.js';
import { initializerInputs } from './initializer-inputs.js';
import { inlineBranches } from './inline-branches.js';
import { inlineFunctions } from './inline-functions.js';
import { lowerActivations } from './lower-activations.js';
import { lowerEinsum } from './lower-einsum.js';
import { lowerExpand } from './lower-expand.js';
import { lowerExtremes } from './lower-extremes.js';
import { lowerFakeQuantization } from './lower-fake-quantization.js';
import { lowerFlatten } from './lower-flatten.js';
import { lowerGelu } from './lower-gelu.js';
import { lowerGemm } from './lower-gemm.js';
import { lowerGlobalPools } from './lower-global-pools.js';
import { lowerHardActivations } from './lower-hard-activations.js';
import { lowerIndexing } from './lower-indexing.js';
import { lowerInstanceNormalization } from './lower-instance-normalization.js';
import { lowerIntegerClips } from './lower-integer-clips.js';
import { lowerIntegers } from './lower-integers.js';
import { lowerLayerNormalization } from './lower-layer-normalization.js';
import { lowerLogic } from './lower-logic.js';
import { lowerNormalizations } from './lower-normalizations.js';
import { lowerOneDimensional } from './lower-one-dimensional.js';
import { lowerOneHot } from './lower-one-hot.js';
import { lowerOneHotProducts } from './lower-one-hot-products.js';
import { lowerPools } from './lower-pools.js';
import { lowerPowers } from './lower-powers.js';
import { lowerPrelu } from './lower-prelu.js';
import { lowerRank } from './lower-rank.js';
import { lowerRecurrent } from './lower-recurrent.js';
import { lowerReduceSum } from './lower-reduce-sum.js';
import { lowerReductions } from './lower-reductions.js';
import { lowerResize } from './lower-resize.js';
import { lowerRmsNormalization } from './lower-rms-normalization.js';
import { lowerRounding } from './lower-rounding.js';
import { lowerSigns } from './lower-signs.js';
import { lowerSmoothActivations } from './lower-smooth-activations.js';
import { lowerSoftplus } from './lower-softplus.js';
import { lowerSpaceToDepth } from './lower-space-to-depth.js';
import { lowerSums } from './lower-sums.js';
import { lowerTile } from './lower-tile.js';
import { lowerTransposedPads } from './lower-transposed-pads.js';
import { matmulAddToGemm } from './matmul-add-to-gemm.js';
import { mergeCasts } from './merge-casts.js';
import { mergeConstantArithmetic } from './merge-constant-arithmetic.js';
import { mergeReshapes } from './merge-reshapes.js';
import { mergeTransposes } from './merge-transposes.js';
import { nameNodes } from './name-nodes.js';
import { packQkv } from './pack-qkv.js';
import { padConvolutionChannels } from './pad-convolution-channels.js';
import { shapeTargets } from './shape-targets.js';
import { sortNodes } from './sort-nodes.js';
import { staticShapes } from './static-shapes.js';
import { unflattenMatmul } from './unflatten-matmul.js';
import { upgradeOpset } from './upgrade-opset.js';

/** What one simplification opens for another settles in a few rounds; the bound only guards against a quarrel. */
const ROUNDS = 10;

/** Takes away what adds nothing. Run after anything that may leave such things behind. */
const cleanUp = repeatPasses(
  'clean-up',
  'no-ops, chains, equal things and dead things → gone; repeated until nothing changes',
  [
    constantsToInitializers,
    staticShapes,
    shapeTargets,
    foldConstants,
    inlineBranches,
    dropNoOps,
    mergeCasts,
    mergeReshapes,
    unflattenMatmul,
    mergeTransposes,
    commonSubexpressions,
    deduplicateInitializers,
    deadCode,
  ],
  ROUNDS,
);

/** Makes one operator of several. What one fusion leaves another may take up. */
const fusion = repeatPasses(
  'fusion',
  'arithmetic → the weights beside it, decompositions → the operators they came from; repeated until nothing changes',
  [
    // Decompositions first: once a factor of theirs is folded into a weight nearby, they are no longer themselves.
    fuseLayerNormalization,
    fuseGelu,
    fuseHardSigmoid,
    fuseSoftmax,
    mergeConstantArithmetic,
    foldBatchNormalization,
    foldAffine,
    fusePad,
    matmulAddToGemm,
  ],
  ROUNDS,
);

/** The built-in passes that change no result, in the order in which they run. */
export const canonicalization: readonly Pass[] = [
  initializerInputs,
  sortNodes,
  // Functions of the model's own opset first, so that their nodes have types; the others once their opset is raised.
  inlineFunctions,
  constantsToInitializers,
  upgradeOpset,
  inlineFunctions,
  cleanUp,
  fusion,
  cleanUp,
  sortNodes,
  nameNodes,
];

/**
 * Rewrites for targets whose executor has the kernels: they change no result either, but their operators are of ONNX
 * Runtime alone, or slower on its CPU than what they replace. A target takes those that it wants, in this order.
 */
export const targetFusions = {
  fuseRmsNormalization,
  fuseSilu,
  fuseSoftplusMish,
  fuseHardSwish,
  gemmToMatmulAdd,
  fuseRotaryEmbedding,
  fuseGroupQueryAttention,
  packQkv,
  // What no decoder's operator takes: encoders, attention over another sequence, masks of every kind.
  fuseMultiHeadAttention,
  fuseSkipNormalization,
  fuseBiasGelu,
} as const satisfies Readonly<Record<string, Pass>>;

/** What must have been found before a cache can be given: attention, and the angles that go by position. */
const BEFORE_CACHE = [fuseRotaryEmbedding.name, fuseGroupQueryAttention.name];

/**
 * The fusions of these names in the order above, a cache of keys and values where it is wanted, and what clears up
 * behind them.
 * @throws QuantcError E_TARGET_FUSION listing those there are.
 */
export function fusionsNamed(names: readonly string[], kvCache = false): readonly Pass[] {
  const all: readonly Pass[] = Object.values(targetFusions);
  const strange = names.find((name) => all.every((pass) => pass.name !== name));
  if (strange !== undefined) {
    throw new QuantcError('E_TARGET_FUSION', `there is no fusion "${strange}"`, {
      kind: 'usage',
      hint: `Fusions: ${all.map(({ name }) => name).join(', ')}.`,
    });
  }
  const wanted = kvCache ? [...names, ...BEFORE_CACHE] : names;
  const chosen = all.filter(({ name }) => wanted.includes(name));
  if (chosen.length === 0) return [];
  // Residual sums show once the layouts around attention have met and vanished.
  const attention: readonly Pass[] = [fuseGroupQueryAttention, fuseMultiHeadAttention];
  const fusions = chosen.flatMap((pass) => (attention.includes(pass) ? [pass, cleanUp] : [pass]));
  return [...fusions, cleanUp, ...(kvCache ? [addKvCache, cleanUp] : []), nameNodes];
}

/**
 * Rewrites of operators that an executor lacks into those that all have. They change no result, and make no graph
 * faster that runs where it has the operators. A target names those that it wants; what one makes a later one may take.
 */
export const targetLowerings = {
  lowerFakeQuantization,
  lowerRecurrent,
  lowerEinsum,
  lowerOneDimensional,
  lowerPools,
  lowerResize,
  lowerRank,
  lowerOneHotProducts,
  lowerIntegerClips,
  lowerTransposedPads,
  lowerRmsNormalization,
  flattenLayerNormalization,
  lowerLayerNormalization,
  lowerInstanceNormalization,
  lowerIndexing,
  lowerSums,
  lowerExtremes,
  lowerGemm,
  lowerPowers,
  lowerReductions,
  lowerReduceSum,
  lowerExpand,
  lowerTile,
  lowerActivations,
  lowerHardActivations,
  lowerPrelu,
  lowerSmoothActivations,
  lowerSoftplus,
  lowerGelu,
  lowerSigns,
  lowerNormalizations,
  lowerSpaceToDepth,
  lowerOneHot,
  lowerIntegers,
  lowerRounding,
  lowerLogic,
  lowerFlatten,
  lowerGlobalPools,
  padConvolutionChannels,
} as const satisfies Readonly<Record<string, Pass>>;

/**
 * The lowerings of these names in the order above, and what clears up behind them.
 * @throws QuantcError E_TARGET_LOWERING listing those there are.
 */
export function loweringsNamed(names: readonly string[]): readonly Pass[] {
  const all: readonly Pass[] = Object.values(targetLowerings);
  const strange = names.find((name) => all.every((pass) => pass.name !== name));
  if (strange !== undefined) {
    throw new QuantcError('E_TARGET_LOWERING', `there is no lowering "${strange}"`, {
      kind: 'usage',
      hint: `Lowerings: ${all.map(({ name }) => name).join(', ')}.`,
    });
  }
  const chosen = all.filter(({ name }) => names.includes(name));
  return chosen.length === 0 ? [] : [...chosen, cleanUp, nameNodes];
}
