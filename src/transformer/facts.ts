import { factKey } from '../pipeline/fact.js';
import type { Protection } from './protection.js';

/** Positions that tables of angles are stored for, where a model computes angles for any. */
export const maxPositionsFact = factKey<number>('max-positions');

/** True where the model is to get inputs and outputs for the keys and values of earlier tokens. */
export const kvCacheFact = factKey<boolean>('kv-cache');

/** What the user protects from few bits. */
export const protectionFact = factKey<readonly Protection[]>('protection');

/** What the user keeps from being pruned. */
export const denseFact = factKey<readonly Protection[]>('dense');
