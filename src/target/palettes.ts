/** Weights stored as places in a palette of few values: what the user asks for. */
import { factKey } from '../pipeline/fact.js';
import type { PaletteBits } from '../quant/places.js';

export interface PaletteChoice {
  readonly bits: PaletteBits;
  /** Output channels that share a palette; absent: all of a weight's. */
  readonly channels?: number;
}

/** What the user wants palettized. */
export const paletteFact = factKey<PaletteChoice>('palette-choice');
