/** What passes know before the first of them runs: the target, and what was asked for. */
import { unrollFact } from '../../passes/lower-recurrent.js';
import type { Precision } from '../recipe.js';
import { targetFact } from '../target/facts.js';
import { type BytesGoal, type MixGoal, mixGoalFact } from '../target/mix.js';
import type { Target } from '../target/target.js';
import { weightBytesFact } from '../target/weight-mix.js';
import { kvCacheFact, maxPositionsFact } from '../transformer/facts.js';
import { tellProtection } from './protect-request.js';
import { tellCompression } from './prune-request.js';
import type { CompileRequest } from './request.js';
import { tellWeights } from './weight-request.js';

/** @param goal of a search for a mix of precisions. @throws QuantcError as `tellWeights`, `tellProtection` and `tellCompression` do */
export function firstFacts(
  target: Target,
  precision: Exclude<Precision, 'auto'>,
  request: CompileRequest,
  goal: MixGoal | BytesGoal | undefined,
): Map<string, unknown> {
  const facts = new Map<string, unknown>();
  targetFact.set({ facts }, target);
  if (goal?.kind === 'bytes') weightBytesFact.set({ facts }, goal.bytes);
  else if (goal !== undefined) mixGoalFact.set({ facts }, goal);
  tellWeights(facts, precision, request);
  tellProtection(facts, precision, request.protect);
  tellCompression(facts, precision, request);
  kvCacheFact.set({ facts }, request.kvCache ?? false);
  if (request.unroll !== undefined) unrollFact.set({ facts }, request.unroll);
  if (request.maxPositions !== undefined) maxPositionsFact.set({ facts }, request.maxPositions);
  return facts;
}
