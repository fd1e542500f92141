import type { Pass } from '../src/index.js';

/** The built-in passes that change no result, in the order in which they run. */
export const canonicalization: readonly Pass[] = [];
