/** What a user asks to be pruned and palettized, and what the passes are told of it. */
import { QuantcError } from '../errors/error.js';
import { PALETTE_BITS, type PaletteBits } from '../quant/places.js';
import type { Precision } from '../recipe.js';
import { paletteFact } from '../target/palettes.js';
import { PRUNE_METHODS, type PruneChoice, type PruneMethod, pruneFact } from '../target/pruning.js';
import { denseFact } from '../transformer/facts.js';
import { parseProtection } from '../transformer/protection.js';

export interface CompressionRequest {
  /**
   * Weights that become 0: a method and how many, as in `magnitude:50%`, `wanda:2:4` (two of every four along the
   * inputs) or `sparsegpt:75%`. The last two need calibration data.
   */
  readonly prune?: string;
  /** Weights that are not pruned: roles, layers or names, by the patterns of `protect`. */
  readonly dense?: readonly string[];
  /** Weights of float and 16-bit models are stored as places of so many bits in a palette. */
  readonly palettize?: PaletteBits;
  /** Output channels that share a palette; default: all of a weight's. */
  readonly paletteChannels?: number;
}

/** Whether files of a request are worth compressing to see what they come to. */
export const asksForDeflated = ({ prune, palettize }: CompressionRequest): boolean =>
  prune !== undefined || palettize !== undefined;

/** Palettes are for these: others have grids of their own. */
const PALETTIZED: readonly Precision[] = ['float', 'fp16'];

/**
 * Tells the passes what was asked for.
 * @throws QuantcError E_PRUNE_SYNTAX, E_PRUNE_SHARE, E_PRUNE_METHOD, E_PRUNE_DENSE; E_PALETTE_PRECISION, E_PALETTE_BITS,
 * E_PALETTE_CHANNELS; E_PROTECT_SYNTAX
 */
export function tellCompression(
  facts: Map<string, unknown>,
  precision: Precision,
  request: CompressionRequest & { readonly weightMethod?: string | undefined },
): void {
  const { prune, dense = [], palettize, paletteChannels } = request;
  if (prune !== undefined) {
    const choice = parsePrune(prune);
    if (request.weightMethod === 'adaround')
      throw usage(
        'E_PRUNE_METHOD',
        'adaround moves weights off 0, which pruning put there',
        'Choose gptq, which keeps zeros, or another --weight-method.',
      );
    pruneFact.set({ facts }, choice);
    if (dense.length > 0) denseFact.set({ facts }, dense.map(parseProtection));
  } else if (dense.length > 0) {
    throw usage('E_PRUNE_DENSE', 'nothing is pruned that weights could be kept from', 'Say --prune, too.');
  }
  if (palettize === undefined) {
    if (paletteChannels === undefined) return;
    throw usage('E_PALETTE_CHANNELS', 'there is no palette for channels to share', 'Say --palettize, too.');
  }
  if (!PALETTIZED.includes(precision))
    throw usage(
      'E_PALETTE_PRECISION',
      `weights of ${precision} have a grid of their own, and no palette`,
      `Choose --precision ${PALETTIZED.join(' or ')}.`,
    );
  if (!PALETTE_BITS.includes(palettize)) throw noBits(String(palettize));
  if (paletteChannels !== undefined && !(Number.isInteger(paletteChannels) && paletteChannels > 0))
    throw usage(
      'E_PALETTE_CHANNELS',
      `a palette for ${paletteChannels} channels cannot be`,
      'Say 1 or more.',
    );
  paletteFact.set(
    { facts },
    { bits: palettize, ...(paletteChannels !== undefined && { channels: paletteChannels }) },
  );
}

/** @throws QuantcError E_PRUNE_SYNTAX, E_PRUNE_METHOD, E_PRUNE_SHARE */
export function parsePrune(text: string): PruneChoice {
  const [, name = '', amount = ''] = /^([^:]*):?(.*)$/s.exec(text)!;
  if (!(PRUNE_METHODS as readonly string[]).includes(name))
    throw usage(
      'E_PRUNE_METHOD',
      `there is no way "${name}" to prune`,
      `Ways: ${PRUNE_METHODS.join(', ')}; as in ${EXAMPLES}.`,
    );
  const method = name as PruneMethod;
  const pattern = /^(\d+):(\d+)$/.exec(amount);
  if (pattern) {
    const [zeros, of] = [Number(pattern[1]), Number(pattern[2])];
    if (zeros < 1 || zeros >= of || of > 64)
      throw usage(
        'E_PRUNE_SHARE',
        `${zeros} of every ${of} weights cannot be 0`,
        'At least one of 2 to 64 goes, and one stays: 2:4.',
      );
    return { method, text, sparsity: { kind: 'pattern', zeros, of } };
  }
  const share = /^(\d+(?:\.\d+)?)%$/.exec(amount);
  if (!share)
    throw usage(
      'E_PRUNE_SYNTAX',
      `"${text}" does not say how many weights become 0`,
      `For example ${EXAMPLES}.`,
    );
  const part = Number(share[1]) / 100;
  if (!(part > 0 && part < 1))
    throw usage(
      'E_PRUNE_SHARE',
      `${amount} of all weights is nothing to prune`,
      'More than 0 % and less than 100 %.',
    );
  return { method, text, sparsity: { kind: 'share', share: part } };
}

/** @throws QuantcError E_PALETTE_BITS listing what there is */
export function parsePaletteBits(text: string): PaletteBits {
  const found = PALETTE_BITS.find((bits) => String(bits) === text);
  if (found === undefined) throw noBits(text);
  return found;
}

const EXAMPLES = 'magnitude:50%, wanda:2:4 or sparsegpt:75%';

const noBits = (given: string): QuantcError =>
  usage('E_PALETTE_BITS', `there are no palettes of ${given} bits`, `Bits: ${PALETTE_BITS.join(', ')}.`);

const usage = (code: string, message: string, hint: string): QuantcError =>
  new QuantcError(code, message, { kind: 'usage', hint });
