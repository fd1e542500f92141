/** `data.json`: which arrays feed which inputs of a model, and how stored elements become what the model takes. */
import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { QuantcError } from '../errors/error.js';
import { DTYPES, type DType } from '../ir/dtype.js';

const positive = v.pipe(v.number(), v.integer(), v.minValue(1));
const finite = v.pipe(v.number(), v.finite());
const perChannel = v.pipe(v.array(finite), v.minLength(1));

const transformSchema = v.strictObject({
  scale: v.optional(finite),
  mean: v.optional(perChannel),
  std: v.optional(
    v.pipe(
      perChannel,
      v.check((std) => std.every((each) => each !== 0), 'std must not be 0'),
    ),
  ),
  layout: v.optional(v.picklist(['NHWC->NCHW'])),
});

const manifestSchema = v.strictObject({
  /** Free text for readers. */
  note: v.optional(v.string()),
  metric: v.optional(v.picklist(['top1', 'perplexity', 'sqnr'])),
  inputs: v.record(
    v.string(),
    v.strictObject({
      calib: v.optional(v.string()),
      eval: v.optional(v.string()),
      transform: v.optional(transformSchema),
      stacked: v.optional(v.boolean()),
    }),
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
  labels: v.optional(v.string()),
});

/**
 * How stored elements become feeds: `x = (stored * scale - mean) / std`, with mean and std by channel (or one for
 * all); channels lie last in the array with `layout`, which then moves them to axis 1, and on axis 1 without it.
 */
export type Transform = v.InferOutput<typeof transformSchema>;

/** A metric that says how good a model is on labelled or plain data. */
export type Metric = 'top1' | 'perplexity' | 'sqnr';

/** An input that is the same in every feed. */
export interface ConstantFeed {
  readonly dtype: DType;
  readonly value: number | boolean | readonly (number | boolean)[];
  /** Default: a scalar for a number, one dimension for a list. */
  readonly shape?: readonly number[];
}

export interface Manifest {
  readonly metric?: Metric;
  readonly inputs: Readonly<
    Record<string, { calib?: string; eval?: string; transform?: Transform; stacked?: boolean }>
  >;
  readonly constants: Readonly<Record<string, ConstantFeed>>;
  /** Feeds must have this many samples. */
  readonly batch?: number;
  /** Labels of the evaluation samples. */
  readonly labels?: string;
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
      hint: 'Data is a folder with a data.json, an .npy file (one-input models), or an .npz file.',
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
      hint: 'Keys: inputs (calib, eval, transform, stacked), constants, fixed, batch, labels, metric, note.',
    });
  }
  const { fixed = {}, constants = {}, ...rest } = parsed.output;
  const { batch = rest.batch, ...scalars } = fixed;
  const asConstants = Object.entries(scalars).map(
    ([name, value]) => [name, { dtype: 'int64', value }] as const,
  );
  return { ...rest, batch, constants: { ...Object.fromEntries(asConstants), ...constants } };
}
