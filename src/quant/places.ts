/**
 * Places in palettes as they are stored: 8 bits as uint8, 4 as uint4, and what no dtype has in words: 1 and 2 bits as 8
 * and 4 places in a uint8, 3 and 6 bits as 10 and 5 places in a uint32. The first place takes the lowest bits of a word.
 */
import { pack } from './pack.js';

/** Bits of a place in a palette of 2^bits values. */
export const PALETTE_BITS = [8, 6, 4, 3, 2, 1] as const;
export type PaletteBits = (typeof PALETTE_BITS)[number];

/** How places of so many bits are stored. */
export interface PlaceForm {
  readonly dtype: 'uint8' | 'uint4' | 'uint32';
  /** Places in one element of that dtype. */
  readonly perWord: number;
}

export const PLACE_FORMS: Readonly<Record<PaletteBits, PlaceForm>> = {
  8: { dtype: 'uint8', perWord: 1 },
  6: { dtype: 'uint32', perWord: 5 },
  4: { dtype: 'uint4', perWord: 1 },
  3: { dtype: 'uint32', perWord: 10 },
  2: { dtype: 'uint8', perWord: 4 },
  1: { dtype: 'uint8', perWord: 8 },
};

/** Bytes that `count` places take. */
export function placeBytes(count: number, bits: PaletteBits): number {
  const { dtype, perWord } = PLACE_FORMS[bits];
  const words = Math.ceil(count / perWord);
  return dtype === 'uint4' ? Math.ceil(words / 2) : words * (dtype === 'uint32' ? 4 : 1);
}

/** Places in words; the last word is filled up with zeros. */
export function packPlaces(places: Uint8Array, bits: PaletteBits): Uint8Array | Uint32Array {
  const { dtype, perWord } = PLACE_FORMS[bits];
  if (dtype === 'uint4') return pack(places, 4);
  const count = Math.ceil(places.length / perWord);
  const words = dtype === 'uint32' ? new Uint32Array(count) : new Uint8Array(count);
  for (let at = 0; at < places.length; at++)
    words[Math.floor(at / perWord)]! |= places[at]! << (bits * (at % perWord));
  return words;
}
