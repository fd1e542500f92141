/** Models as the tests of transformers need them: canonical, perhaps fused, perhaps with a cache. */
import { canonicalization, fusionsNamed } from '../../passes/index.js';
import {
  kvCacheFact,
  type Model,
  parseModel,
  readModel,
  renameNode,
  renameValue,
  runPipeline,
  valuesOf,
} from '../../src/index.js';
import { createEngine } from '../../src/runtime/engine.js';

/** What a target of a decoder asks for. */
export const DECODER_FUSIONS = [
  'fuse-rms-normalization',
  'fuse-silu',
  'fuse-rotary-embedding',
  'fuse-group-query-attention',
  'fuse-skip-normalization',
];

export async function canonical(source: string): Promise<Model> {
  const model = source.startsWith('<') ? parseModel(source) : readModel(source);
  await runPipeline(model, canonicalization, { engine: createEngine() });
  return model;
}

/** A canonical model after fusions; with a cache where it is asked for. */
export async function fused(source: string, names: readonly string[], kvCache = false): Promise<Model> {
  const model = await canonical(source);
  const facts = new Map<string, unknown>();
  kvCacheFact.set({ facts }, kvCache);
  await runPipeline(model, fusionsNamed(names, kvCache), { engine: createEngine(), facts, verify: true });
  return model;
}

/** Gives every value and node a name that says nothing. */
export function scramble(model: Model): Model {
  let count = 0;
  for (const graph of model.graphs()) {
    for (const value of [...valuesOf(graph)]) renameValue(value, `v${count++}`);
    for (const node of graph.nodes()) renameNode(node, `n${count++}`);
  }
  return model;
}

/** How often each operator stands in the main graph. */
export function operators(model: Model): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { opType } of model.graph.nodes()) counts[opType] = (counts[opType] ?? 0) + 1;
  return counts;
}
