/** Proof of a decoder's cache: token by token it answers as it does for all tokens at once. */
import type { DataSet } from '../calibration/dataset.js';
import type { Model } from '../ir/graph.js';
import type { ErrorFigures } from '../report/report.js';
import type { Comparison } from '../runtime/compare.js';
import { cacheInputs } from '../runtime/first-run.js';
import { type SessionOptions, withSession } from '../runtime/session.js';
import { compareStepwise } from '../runtime/stepwise.js';

/** Float answers agree to this, in dB. */
const EXACT = 60;
/** Where activations are quantized by what else is there, two answers differ as much as each does from float. */
const TWICE_THE_NOISE = 6;

export interface Steps {
  /** One an output of the model, named for how it was made. */
  readonly figures: readonly ErrorFigures[];
  /** Why the proof fails. */
  readonly reason?: string;
}

/**
 * Runs the emitted file on the first sample both ways. Models without a cache have nothing to prove.
 * @param outputs how the emitted model compares with the float one, all tokens at once
 */
export async function proveSteps(
  { emitted, after, samples }: { readonly emitted: string; readonly after: Model; readonly samples: DataSet },
  outputs: readonly Comparison[],
  options: SessionOptions,
): Promise<Steps> {
  if (cacheInputs(after.graph.inputs).length === 0) return { figures: [] };
  return withSession(emitted, options, async (session) => {
    for await (const feeds of samples.first(1)) {
      const found = await compareStepwise(session, feeds);
      if (found === undefined) break;
      const worse = found.find(({ name, sqnr, mismatched }) => {
        const all = outputs.find((output) => output.name === name)?.sqnr ?? Number.POSITIVE_INFINITY;
        return mismatched > 0 || sqnr < Math.min(EXACT, all - TWICE_THE_NOISE);
      });
      return {
        figures: found.map(({ name, sqnr, cosine, maxError }) => ({
          name: `${name}, token by token`,
          sqnr: sqnr === Number.POSITIVE_INFINITY ? null : sqnr,
          cosine,
          maxError,
        })),
        ...(worse && {
          reason: `token by token, output "${worse.name}" is ${worse.sqnr.toFixed(1)} dB from what it is for all tokens at once`,
        }),
      };
    }
    return { figures: [] };
  });
}
