import { type Pass, repeatPasses } from '../src/index.js';
import { closeInitializers } from './close-initializers.js';
import { commonSubexpressions } from './common-subexpressions.js';
import { constantsToInitializers } from './constants-to-initializers.js';
import { deadCode } from './dead-code.js';
import { deduplicateInitializers } from './deduplicate-initializers.js';
import { dropNoOps } from './drop-no-ops.js';
import { foldAffine } from './fold-affine.js';
import { foldBatchNormalization } from './fold-batch-normalization.js';
import { foldConstants } from './fold-constants.js';
import { mergeCasts } from './merge-casts.js';
import { mergeReshapes } from './merge-reshapes.js';
import { mergeTransposes } from './merge-transposes.js';
import { nameNodes } from './name-nodes.js';
import { shapeTargets } from './shape-targets.js';
import { sortNodes } from './sort-nodes.js';
import { staticShapes } from './static-shapes.js';
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
    dropNoOps,
    mergeCasts,
    mergeReshapes,
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
  [foldBatchNormalization, foldAffine],
  ROUNDS,
);

/** The built-in passes that change no result, in the order in which they run. */
export const canonicalization: readonly Pass[] = [
  closeInitializers,
  sortNodes,
  constantsToInitializers,
  upgradeOpset,
  cleanUp,
  fusion,
  cleanUp,
  sortNodes,
  nameNodes,
];
