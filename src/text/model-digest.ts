/** Fingerprints of whole models, for keys of answers that are kept. */
import { createHash } from 'node:crypto';
import type { Model } from '../ir/graph.js';
import { printFunction, printGraph } from './print.js';

/**
 * SHA-256 over all that a model computes with: opsets, graphs, names of nodes and values, attributes, types, and every
 * byte of every constant. Producer and metadata do not count. Constants pass through one at a time, files in pieces of
 * 1 MiB, and each is hashed once however often it is asked for; a derived one is computed. Ask for it when an answer
 * depends on it, and not before: it reads all weights.
 * @throws QuantcError E_TENSOR_READ when a file of weights is gone or too short
 */
export function modelDigest(model: Model): string {
  const hash = createHash('sha256');
  const opsets = [...model.opsets].sort(([a], [b]) => (a < b ? -1 : 1));
  hash.update(JSON.stringify(['model', model.irVersion, opsets]));
  hash.update(printGraph(model.graph));
  for (const each of model.functions) hash.update(printFunction(each));
  return hash.digest('hex');
}
