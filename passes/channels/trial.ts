/** What a float model would answer like, once quantized: a whole compilation in small, on a copy. */
import { cloneModel, Ledger, type Model, type PassContext } from '../../src/index.js';
import { calibrateRanges } from '../calibrate-ranges.js';
import { bestRanges } from '../choose-ranges.js';
import { planIntegerKernels } from '../plan-integer-kernels.js';

/** Samples that ranges are taken from: enough for one ranking, few enough to run again. */
const SAMPLES = 64;

/**
 * How like itself the model answers with the plan and the ranges that it would get, in dB, on calibration samples.
 * @param change is done to a copy before
 * @returns undefined where nothing would be quantized, or there is nothing to judge by
 */
export async function likenessQuantized(
  model: Model,
  context: PassContext,
  change: (copy: Model) => void = () => {},
): Promise<number | undefined> {
  const copy = cloneModel(model).model;
  change(copy);
  const { engine } = context;
  const trial: PassContext = {
    engine: { ...engine, observe: (at, values) => engine.observe(at, values, SAMPLES) },
    facts: new Map(context.facts),
    ledger: new Ledger(),
    changed: () => {},
    decline: () => {},
  };
  await planIntegerKernels.run(copy, trial);
  await calibrateRanges.run(copy, trial);
  return (await bestRanges(copy, trial))?.score;
}
