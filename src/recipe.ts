import { calibrateRanges } from '../passes/calibrate-ranges.js';
import { chooseRanges } from '../passes/choose-ranges.js';
import { compressWeights } from '../passes/compress-weights.js';
import { deadCode } from '../passes/dead-code.js';
import { deduplicateInitializers } from '../passes/deduplicate-initializers.js';
import { dropDefaultAttributes } from '../passes/drop-default-attributes.js';
import { canonicalization } from '../passes/index.js';
import { insertQdq } from '../passes/insert-qdq.js';
import { planIntegerKernels } from '../passes/plan-integer-kernels.js';
import { quantizeDynamic } from '../passes/quantize-dynamic.js';
import { shortenNames } from '../passes/shorten-names.js';
import { QuantcError } from './errors/error.js';
import type { Pass } from './pipeline/pass.js';

/**
 * How low the numbers go.
 * - `int8`: static; weights and activations int8, ranges from calibration data.
 * - `int8-dynamic`: weights int8, activations quantized while the model runs.
 * - `int8-weights`: the file holds int8, the executor computes in float.
 * - `float`: canonicalization alone.
 * - `auto`: `int8` where calibration data are given, else `int8-dynamic`.
 */
export const PRECISIONS = ['auto', 'int8', 'int8-dynamic', 'int8-weights', 'float'] as const;
export type Precision = (typeof PRECISIONS)[number];

/** @throws QuantcError E_PRECISION_UNKNOWN listing those there are. */
export function parsePrecision(name: string): Precision {
  if ((PRECISIONS as readonly string[]).includes(name)) return name as Precision;
  throw new QuantcError('E_PRECISION_UNKNOWN', `there is no precision "${name}"`, {
    kind: 'usage',
    hint: `Precisions: ${PRECISIONS.join(', ')}.`,
  });
}

/** The passes of one compilation: first those that change no result, then those that make it small. */
export interface Recipe {
  readonly canonicalize: readonly Pass[];
  readonly quantize: readonly Pass[];
  readonly finish: readonly Pass[];
}

const QUANTIZE: Readonly<Record<Exclude<Precision, 'auto'>, readonly Pass[]>> = {
  int8: [planIntegerKernels, calibrateRanges, chooseRanges, insertQdq, compressWeights],
  'int8-dynamic': [quantizeDynamic, compressWeights],
  'int8-weights': [compressWeights],
  float: [],
};

/** The ordered passes for a precision. */
export function recipeFor(precision: Exclude<Precision, 'auto'>): Recipe {
  return {
    canonicalize: canonicalization,
    quantize: QUANTIZE[precision],
    finish:
      precision === 'float' ? [] : [deadCode, deduplicateInitializers, dropDefaultAttributes, shortenNames],
  };
}
