/** What `quantc sensitivity --json` printed, as a page shows it. */
import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { QuantcError } from '../errors/error.js';

const figure = v.nullable(v.number());

const layers = v.object({
  model: v.string(),
  target: v.string(),
  unit: v.picklist(['dB', 'wrong']),
  samples: v.number(),
  whole: figure,
  layers: v.array(
    v.object({ node: v.string(), opType: v.string(), alone: figure, without: figure, saves: v.number() }),
  ),
});

const weights = v.object({
  model: v.string(),
  metric: v.picklist(['kl', 'sqnr']),
  samples: v.number(),
  bits: v.array(v.number()),
  weights: v.array(
    v.object({
      nodes: v.array(v.string()),
      weight: v.string(),
      role: v.optional(v.string()),
      figures: v.array(v.object({ bits: v.number(), bytes: v.number(), noise: v.number() })),
    }),
  ),
});

/** What the integers of each layer do to the outputs. */
export type LayerMap = v.InferOutput<typeof layers>;
/** What the bits of each weight do to them. */
export type WeightMap = v.InferOutput<typeof weights>;
export type SensitivityMap = LayerMap | WeightMap;

/** @throws QuantcError E_REPORT_SENSITIVITY where the file is not what the command prints */
export function readSensitivity(file: string): SensitivityMap {
  try {
    return v.parse(v.union([layers, weights]), JSON.parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    throw new QuantcError('E_REPORT_SENSITIVITY', `it is no sensitivity map: ${(cause as Error).message}`, {
      place: { file },
      hint: 'Give what `quantc sensitivity --json`, with or without --weights, printed.',
      cause,
    });
  }
}
