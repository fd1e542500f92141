/** `data.json`: what feeds which inputs of a model, and how it becomes what the model takes. */
import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { QuantcError } from '../errors/error.js';
import { DTYPES, type DType } from '../ir/dtype.js';
import { audioSchema, finite, imagesSchema, normalization, positive, tokensSchema } from './sources/specs.js';

/** Metrics that say how good a model is on labelled or plain data. */
export const METRICS = ['top1', 'perplexity', 'sqnr'] as const;
export type Metric = (typeof METRICS)[number];

const transformSchema = v.strictObject({
  ...normalization,
  layout: v.optional(v.picklist(['NHWC->NCHW', 'NHWC'])),
});

/** A file or folder, or some of its samples: so many, evenly spread over the set. */
const pathSchema = v.union([v.string(), v.strictObject({ path: v.string(), samples: positive })]);

const manifestSchema = v.strictObject({
  /** Free text for readers. */
  note: v.optional(v.string()),
  metric: v.optional(v.picklist(METRICS)),
  inputs: v.record(
    v.string(),
    v.pipe(
      v.strictObject({
        calib: v.optional(pathSchema),
        eval: v.optional(pathSchema),
        transform: v.optional(transformSchema),
        stacked: v.optional(v.boolean()),
        images: v.optional(imagesSchema),
        audio: v.optional(audioSchema),
        tokens: v.optional(tokensSchema),
      }),
      v.check(
        ({ images, audio, tokens }) => [images, audio, tokens].filter(Boolean).length <= 1,
        'an input is fed by one of images, audio and tokens',
      ),
      v.check(
        ({ images, transform }) => !(images && transform),
        'images say scale, mean, std and layout themselves, without a transform',
      ),
      v.check(
        ({ images, audio, tokens, stacked }) => !(stacked && (images || audio || tokens)),
        'only arrays can be stacked',
      ),
    ),
  ),
  constants: v.optional(
    v.record(
      v.string(),
      v.strictObject({
        dtype: v.picklist(DTYPES),
        value: v.union([finite, v.boolean(), v.array(v.union([finite, v.boolean()]))]),
        shape: v.optional(v.array(positive)),
      }),
    ),
  ),
  batch: v.optional(positive),
  fixed: v.optional(v.record(v.string(), v.pipe(v.number(), v.integer()))),
  labels: v.optional(
    v.union([
      v.string(),
      v.strictObject({
        folders: v.union([v.literal('sorted'), v.pipe(v.array(v.string()), v.minLength(1))]),
      }),
    ]),
  ),
});

/**
 * How stored elements become feeds: `x = (stored * scale - mean) / std`, with mean and std by channel (or one for
 * all). Channels lie on axis 1 of the array; with `layout` they lie last, and either go to axis 1 (`NHWC->NCHW`) or
 * stay (`NHWC`).
 */
export type Transform = v.InferOutput<typeof transformSchema>;

/** One input of a `data.json`. */
export type InputEntry = v.InferOutput<typeof manifestSchema>['inputs'][string];

/** Labels from a file, or from the names of the sub-folders that samples lie in: their order is the classes'. */
export type LabelEntry = string | { readonly folders: 'sorted' | readonly string[] };

/** An input that is the same in every feed. */
export interface ConstantFeed {
  readonly dtype: DType;
  readonly value: number | boolean | readonly (number | boolean)[];
  /** Default: a scalar for a number, one dimension for a list. */
  readonly shape?: readonly number[];
}

export interface Manifest {
  readonly metric?: Metric;
  readonly inputs: Readonly<Record<string, InputEntry>>;
  readonly constants: Readonly<Record<string, ConstantFeed>>;
  /** Feeds must have this many samples. */
  readonly batch?: number;
  /** Labels of the evaluation samples. */
  readonly labels?: LabelEntry;
}

/**
 * Reads a `data.json`. Unknown keys are refused: a misspelt one would silently change what the model is fed.
 * @throws QuantcError E_DATA_READ when it cannot be read, E_DATA_MANIFEST when it is no such description
 */
export function readManifest(file: string): Manifest {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new QuantcError('E_DATA_READ', `cannot read ${file}`, {
      place: { file },
      hint: 'Data is a folder with a data.json, an array (.npy, .npz), token ids (.txt, .json), or a module (.ts, .js).',
      cause,
    });
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new QuantcError('E_DATA_MANIFEST', `not JSON: ${(cause as Error).message}`, {
      place: { file },
      cause,
    });
  }
  const parsed = v.safeParse(manifestSchema, json);
  if (!parsed.success) {
    const issue = parsed.issues[0];
    const where = v.getDotPath(issue);
    throw new QuantcError('E_DATA_MANIFEST', `${where ? `${where}: ` : ''}${issue.message}`, {
      place: { file },
      hint: 'Keys: inputs (calib, eval, transform, stacked, images, audio, tokens), constants, fixed, batch, labels, metric, note.',
    });
  }
  const { fixed = {}, constants = {}, ...rest } = parsed.output;
  const { batch = rest.batch, ...scalars } = fixed;
  const asConstants = Object.entries(scalars).map(
    ([name, value]) => [name, { dtype: 'int64', value }] as const,
  );
  return { ...rest, batch, constants: { ...Object.fromEntries(asConstants), ...constants } };
}
