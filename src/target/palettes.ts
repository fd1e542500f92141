/** Weights stored as places in a palette of few values: what the user asks for. */
import { factKey } from '../pipeline/fact.js';

/** Bits of a place in a palette of 2^bits values. */
export const PALETTE_BITS = [8, 6, 4, 3, 2, 1] as const;
export type PaletteBits = (typeof PALETTE_BITS)[number];

export interface PaletteChoice {
  readonly bits: PaletteBits;
  /** Output channels that share a palette; absent: all of a weight's. */
  readonly channels?: number;
}

/** What the user wants palettized. */
export const paletteFact = factKey<PaletteChoice>('palette-choice');
