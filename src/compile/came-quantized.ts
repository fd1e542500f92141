/** Files that came quantized, just as the provider wants them: nothing better can be made of integers that are there. */

import { cloneModel } from '../ir/clone.js';
import type { Model } from '../ir/graph.js';
import type { Ledger } from '../pipeline/ledger.js';
import type { Recipe } from '../recipe.js';
import { createEngine } from '../runtime/engine.js';
import { type UnitReading, unitsOf } from '../target/node-units.js';
import { isProfile } from '../target/profiled.js';
import { isDequantize, isQuantize } from '../target/provider.js';
import type { Target } from '../target/target.js';
import { verdictOf } from '../target/verdict.js';
import { zeroPointType } from '../target/zero-point-type.js';

/** What a request says about which nodes shall be quantized, and how. */
interface Wishes {
  readonly exclude?: readonly string[] | undefined;
  readonly wide?: readonly string[] | undefined;
}

/** What is left of a recipe behind its canonical part. */
export type Remainder = Pick<Recipe, 'adapt' | 'quantize'>;

/**
 * The passes of a recipe that adapt a canonical model to a target and quantize it. There are none where the model
 * came quantized as a whole and the target's provider takes all of it: its QuantizeLinear and DequantizeLinear stay as
 * they are, and the ledger says so (`kept-quantized`). Patterns that leave nodes float, or widen them, ask for another
 * model, and get it.
 * @param model canonical, with fixed shapes
 */
export async function unlessQuantized(
  { adapt, quantize }: Recipe,
  model: Model,
  target: Target,
  precision: string,
  { exclude = [], wide = [] }: Wishes,
  ledger: Ledger,
): Promise<Remainder> {
  const asked = exclude.length > 0 || wide.length > 0;
  if (asked || !isProfile(precision) || !(await isTakenQuantized(model, target))) return { adapt, quantize };
  let [quantizers, wideOnes] = [0, 0];
  for (const node of model.graph.nodes()) {
    if (!isQuantize(node)) continue;
    quantizers++;
    if (/16$/.test(zeroPointType(node) ?? '')) wideOnes++;
  }
  for (const node of model.graph.nodes())
    ledger.record(node, { precision: 'int8', reason: 'it came quantized, and stays as it is' });
  const bits = wideOnes === 0 ? '8' : wideOnes === quantizers ? '16' : '8 and 16';
  // What was said of data for calibration concerns nothing any more.
  ledger.withdraw('W_CALIBRATION_SYNTHETIC');
  ledger.note(
    'info',
    'kept-quantized',
    `the model came quantized, with activations of ${bits} bits, and ${target.provider!.provider} takes all of it: ` +
      'its integers stay as they are, whatever the precision; for others, compile the float model it was made of',
  );
  return { adapt: [], quantize: [] };
}

/** Every node that computes with floats stands between Q and DQ, and the provider takes each. */
async function isTakenQuantized(model: Model, { provider, whole }: Target): Promise<boolean> {
  if (!provider?.readsUnits || whole === undefined) return false;
  if (![...model.graph.nodes()].some(isQuantize)) return false;
  const judged = cloneModel(model).model;
  await createEngine().inferTypes(judged);
  const { coverage, partitions } = verdictOf(judged, provider);
  if (coverage < 1 || partitions.length !== 1) return false;
  return unitsOf(judged.graph, provider.foldsDequantized).every(isInIntegers);
}

function isInIntegers({ unit }: UnitReading): boolean {
  const { node, dequantizes, quantizes, absorbed } = unit;
  if ([isQuantize, isDequantize].some((is) => is(node))) return true;
  const reads = node.inputs.every(
    (input, at) => input?.dtype !== 'float' || input.isConstant || dequantizes[at] !== undefined,
  );
  const gives = node.outputs.every(
    (output, at) => output.dtype !== 'float' || quantizes[absorbed ? 0 : at] !== undefined,
  );
  return reads && gives;
}
