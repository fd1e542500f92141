import { factKey } from '../pipeline/fact.js';

/** Positions that tables of angles are stored for, where a model computes angles for any. */
export const maxPositionsFact = factKey<number>('max-positions');
