/** Whether a config is one: every key is known, and every complaint points at its own. */
import * as v from 'valibot';
import { RUNTIMES, type RuntimeName } from '../codegen/bound-model.js';
import { BINDINGS, FORMATS } from '../compile/format-name.js';
import { LAYOUTS } from '../compile/layout-name.js';
import { parseRangeMethod } from '../compile/range-method.js';
import { isShapeName } from '../compile/shape-name.js';
import { WEIGHT_WAYS } from '../compile/weight-request.js';
import { QuantcError } from '../errors/error.js';
import type { QuantcPlugin } from '../plugin/plugin.js';
import { PALETTE_BITS } from '../quant/places.js';
import { parsePrecision } from '../recipe-precisions.js';
import type { Target } from '../target/target.js';
import type { ModelOptions, QuantcConfig } from './config.js';

const positive = v.pipe(v.number(), v.integer(), v.minValue(1));
const text = v.pipe(v.string(), v.nonEmpty('is empty'));
const texts = v.array(text);

const target = v.union(
  [
    text,
    v.custom<Target>(
      (given) => typeof given === 'object' && given !== null && 'name' in given && 'rows' in given,
    ),
  ],
  'expected the name of a target, or what defineTarget gives',
);

/** What is in it is checked where plugins are: complaints are the same for all who give them. */
const plugin = v.custom<QuantcPlugin>(
  (given) => typeof given === 'object' && given !== null,
  'expected what definePlugin gives',
);

/** Text that a parser of ours takes; what it complains of is the issue. */
const takenBy = <T extends string>(parse: (given: string) => T) =>
  v.pipe(
    v.string(),
    v.rawTransform<string, T>(({ dataset, addIssue, NEVER }) => {
      try {
        return parse(dataset.value);
      } catch (error) {
        if (!(error instanceof QuantcError)) throw error;
        addIssue({ message: error.message });
        return NEVER;
      }
    }),
  );

/** Names of shapes are parts of names of files. */
const shapeName = v.pipe(v.string(), v.check(isShapeName, 'is no name of a shape: letters, digits, _ -'));

/** One term stands for a list of one. */
const listed = (given: unknown): unknown => (typeof given === 'string' ? [given] : given);
/** A path stands for a model without options. */
const spelledOut = (given: unknown): unknown => (typeof given === 'string' ? { model: given } : given);

const options = {
  targets: v.optional(v.pipe(v.array(target), v.minLength(1, 'names no target'))),
  precision: v.optional(takenBy(parsePrecision)),
  calib: v.optional(text),
  eval: v.optional(text),
  layout: v.optional(v.picklist(LAYOUTS)),
  formats: v.optional(v.array(v.picklist(FORMATS))),
  binding: v.optional(v.picklist(BINDINGS)),
  ranges: v.optional(text),
  algorithms: v.optional(texts),
  exclude: v.optional(texts),
  protect: v.optional(texts),
  wide: v.optional(texts),
  dims: v.optional(v.record(text, positive)),
  shapes: v.optional(v.record(shapeName, v.record(text, positive))),
  fix: v.optional(v.record(text, v.union([v.number(), v.array(v.number())]))),
  unroll: v.optional(positive),
  kvCache: v.optional(v.boolean()),
  maxPositions: v.optional(positive),
  dataBytes: v.optional(positive),
  proofSamples: v.optional(positive),
  budget: v.optional(v.pipe(v.unknown(), v.transform(listed), texts)),
  strict: v.optional(v.boolean()),
  blockSize: v.optional(positive),
  damping: v.optional(v.pipe(v.number(), v.finite(), v.minValue(0))),
  weightMethod: v.optional(v.picklist(WEIGHT_WAYS)),
  symmetricWeights: v.optional(v.boolean()),
  half: v.optional(v.boolean()),
  halfInterfaces: v.optional(v.boolean()),
  prune: v.optional(text),
  dense: v.optional(texts),
  palettize: v.optional(v.picklist(PALETTE_BITS)),
  paletteChannels: v.optional(positive),
} as const satisfies Record<keyof ModelOptions, v.GenericSchema>;

const model = v.strictObject({ model: text, ...options });

/** Names of models are names of folders, and of modules. */
const name = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9][\w.-]*$/, 'is no name of a folder: letters, digits, . _ -'),
);

const config = v.strictObject({
  out: v.optional(text),
  models: v.pipe(
    v.record(name, v.pipe(v.unknown(), v.transform(spelledOut), model)),
    v.check((models) => Object.keys(models).length > 0, 'names no model'),
  ),
  plugins: v.optional(v.array(plugin)),
  defaults: v.optional(v.strictObject(options)),
  bindings: v.optional(
    v.union([
      v.boolean(),
      v.strictObject({
        out: v.optional(text),
        runtimes: v.optional(v.array(v.picklist(Object.keys(RUNTIMES) as RuntimeName[]))),
        modules: v.optional(v.record(name, v.pipe(texts, v.minLength(1, 'names no model')))),
      }),
    ]),
  ),
  cache: v.optional(v.union([text, v.literal(false)])),
  maxMemory: v.optional(positive),
  report: v.optional(v.boolean()),
  parallel: v.optional(positive),
});

/**
 * Checks what a config file exports.
 * @throws QuantcError E_CONFIG_KEY that names the key: `models.classifier.precision`
 */
export function checkConfig(given: unknown, file: string): QuantcConfig {
  const parsed = v.safeParse(config, given);
  if (parsed.success) return withRanges(parsed.output as QuantcConfig, file);
  const [issue] = parsed.issues;
  const at = v.getDotPath(issue);
  throw new QuantcError('E_CONFIG_KEY', `${at ?? 'the config'}: ${complaint(issue)}`, {
    kind: 'usage',
    place: { file },
    hint: hintFor(at),
  });
}

/** Ways to choose ranges may be those of the config's own plugins. */
function withRanges(checked: QuantcConfig, file: string): QuantcConfig {
  const plugged = checked.plugins?.flatMap(({ observers }) => observers?.map(({ name }) => name) ?? []);
  const places = Object.entries(checked.models).map(([name, each]) => [`models.${name}`, each] as const);
  for (const [at, each] of [['defaults', checked.defaults] as const, ...places]) {
    if (typeof each !== 'object' || each.ranges === undefined) continue;
    try {
      parseRangeMethod(each.ranges, plugged);
    } catch (cause) {
      if (!(cause instanceof QuantcError)) throw cause;
      const { message, hint } = cause;
      throw new QuantcError('E_CONFIG_KEY', `${at}.ranges: ${message}`, {
        kind: 'usage',
        place: { file },
        hint,
      });
    }
  }
  return checked;
}

/** The keys that stand where the issue lies. */
function hintFor(at: string | null): string {
  const depth = at === null ? 0 : at.split('.').length;
  const [first] = at?.split('.') ?? [];
  if (depth <= 1) return `Keys: ${Object.keys(config.entries).join(', ')}.`;
  const own = first === 'defaults' ? [] : ['model'];
  return `Keys of ${first === 'defaults' ? 'defaults' : 'a model'}: ${[...own, ...Object.keys(options)].join(', ')}.`;
}

function complaint({ type, expected, received, message }: v.BaseIssue<unknown>): string {
  if (type === 'strict_object' && expected === 'never') return 'there is no such key';
  if (received === 'undefined') return 'is missing';
  return message[0]!.toLowerCase() + message.slice(1);
}
