/** The algorithms that refine static int8, with their sources. */
import { clipWeights } from '../passes/clip-weights.js';
import { correctBias } from '../passes/correct-bias.js';
import { equalizeLayers } from '../passes/equalize-layers.js';
import { mixPrecision } from '../passes/mix-precision.js';
import { roundWeights } from '../passes/round-weights.js';
import { smoothQuant } from '../passes/smooth-quant.js';
import { QuantcError } from './errors/error.js';
import type { Algorithm } from './plugin/plugin.js';

/** Every algorithm, in the order in which they run; `--algorithms` names them by their passes. */
export const ALGORITHMS: readonly Algorithm[] = [
  {
    pass: equalizeLayers,
    stage: 'float',
    source:
      'Nagel et al., Data-Free Quantization through Weight Equalization and Bias Correction, 2019 (section 4.1)',
    byDefault: true,
  },
  {
    pass: smoothQuant,
    stage: 'float',
    source: 'Xiao et al., SmoothQuant, 2023 (section 4)',
    byDefault: false,
  },
  {
    pass: mixPrecision,
    stage: 'plan',
    source:
      'Dong et al., HAWQ-V2, 2020; Pandey et al., A Practical Mixed Precision Algorithm, 2023 (section 3)',
    byDefault: true,
  },
  {
    pass: clipWeights,
    stage: 'integers',
    source: 'Frantar et al., GPTQ, 2022: the grid of its scale search, with squared errors',
    byDefault: false,
  },
  {
    pass: roundWeights,
    stage: 'integers',
    source:
      'Frantar et al., GPTQ, 2022 (section 3), as the nearest plane of Babai, 1986; biases by Nagel et al., 2019 (section 4.2)',
    byDefault: true,
  },
  {
    pass: correctBias,
    stage: 'integers',
    source:
      'Nagel et al., Data-Free Quantization through Weight Equalization and Bias Correction, 2019 (section 4.2)',
    byDefault: false,
  },
];

/**
 * The algorithms with these names, and those of plugins behind them; those that run by default where there are none; `none` is none at all.
 * @throws QuantcError E_ALGORITHM_UNKNOWN listing those there are.
 */
export function algorithmsNamed(
  names: readonly string[] | undefined,
  plugged: readonly Algorithm[] = [],
): readonly Algorithm[] {
  const all = [...ALGORITHMS, ...plugged];
  if (names === undefined) return all.filter(({ byDefault }) => byDefault);
  const known = all.map(({ pass }) => pass.name);
  const strange = names.find((name) => name !== 'none' && !known.includes(name));
  if (strange !== undefined) {
    throw new QuantcError('E_ALGORITHM_UNKNOWN', `there is no algorithm "${strange}"`, {
      kind: 'usage',
      hint: `Algorithms: none, ${known.join(', ')}.`,
    });
  }
  return all.filter(({ pass }) => names.includes(pass.name));
}
