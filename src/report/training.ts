/** How a model was trained before it was compiled: what a report says of it. */
import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { QuantcError } from '../errors/error.js';

/** What `quantc finetune` wrote beside the model that was compiled. */
export interface TrainingReport {
  readonly bits?: number;
  /** Weights that stayed as they were rounded. */
  readonly freeze?: string;
  readonly loss?: string;
  readonly steps: number;
  /** Loss on samples that training did not see, before and after. */
  readonly heldOut: { readonly before: number; readonly after: number };
  /** Loss by step; of long trainings as many steps as a curve shows, the first and the last among them. */
  readonly curve: readonly { readonly step: number; readonly loss: number }[];
}

/** Points that a curve keeps. */
const POINTS = 200;

const manifest = v.object({
  bits: v.optional(v.number()),
  freeze: v.optional(v.string()),
  loss: v.optional(
    v.union([
      v.string(),
      v.pipe(
        v.object({ kind: v.string() }),
        v.transform(({ kind }) => kind),
      ),
    ]),
  ),
  heldOut: v.object({ before: v.number(), after: v.number() }),
  curve: v.array(v.object({ step: v.number(), loss: v.number() })),
});

/** Reads the `.grids.json` that a finetuning left. @throws QuantcError E_REPORT_TRAINING where it is none */
export function readTraining(file: string): TrainingReport {
  try {
    const { curve, ...facts } = v.parse(manifest, JSON.parse(readFileSync(file, 'utf8')));
    return { ...facts, steps: curve.length, curve: thinned(curve) };
  } catch (cause) {
    throw new QuantcError('E_REPORT_TRAINING', `it tells of no training: ${(cause as Error).message}`, {
      place: { file },
      hint: 'Give the .grids.json that `quantc finetune` wrote.',
      cause,
    });
  }
}

/** Every so many points, each with the mean loss of those that it stands for. */
function thinned(
  curve: readonly { readonly step: number; readonly loss: number }[],
): TrainingReport['curve'] {
  if (curve.length <= POINTS) return curve.map(({ step, loss }) => ({ step, loss }));
  return Array.from({ length: POINTS }, (_, at) => {
    const part = curve.slice((at * curve.length) / POINTS, ((at + 1) * curve.length) / POINTS);
    const loss = part.reduce((sum, each) => sum + each.loss, 0) / part.length;
    return { step: at === POINTS - 1 ? part.at(-1)!.step : part[0]!.step, loss };
  });
}
