/** The ways to choose ranges, as users name them. */
import { QuantcError } from '../errors/error.js';

/**
 * How the ranges of quantized activations are chosen from what calibration saw; some take a parameter.
 * - `minmax`: all of it.
 * - `moving-average:c`: the mean over samples of their extremes; after 1/c samples the older ones fade. Default 0.01.
 * - `percentile:p`: p percent of the elements, what is left out at either end alike. Default 99.99.
 * - `entropy`: the range whose 8-bit grid tells most of the distribution (KL divergence).
 * - `mse:q`: the range whose 8-bit grid has the least sum of |error|^q, clipping included. Default 2.
 * - `auto`: `percentile`, unless the model answers clearly more like the float one with `minmax`.
 */
export const RANGE_METHODS = ['auto', 'minmax', 'moving-average', 'percentile', 'entropy', 'mse'] as const;
type Name = (typeof RANGE_METHODS)[number];
type Parametric = keyof typeof PARAMETERS;
export type RangeMethod = Name | `${Parametric}:${number}`;

/** Parameters: their default, and the range that they lie in. */
const PARAMETERS = {
  'moving-average': { otherwise: 0.01, above: 0, upTo: 1, what: 'the weight of one sample' },
  percentile: { otherwise: 99.99, above: 50, upTo: 100, what: 'the percentage of elements kept' },
  mse: { otherwise: 2, above: 0.5, upTo: 8, what: 'the power of the error' },
} as const;

/**
 * @param plugged names that plugins give to ways of their own; they take no parameters
 * @throws QuantcError E_RANGES_UNKNOWN listing those there are, E_RANGES_PARAMETER for one that is out of place
 */
export function parseRangeMethod(text: string, plugged: readonly string[] = []): RangeMethod {
  if (!plugged.includes(text)) rangeMethod(text, plugged);
  return text as RangeMethod;
}

/** Name and parameter of a way of ours; errors as those of {@link parseRangeMethod}. */
export function rangeMethod(
  text: string,
  plugged: readonly string[] = [],
): { readonly name: Name; readonly parameter: number } {
  const [name, given, ...rest] = text.split(':') as [Name, ...string[]];
  if (!RANGE_METHODS.includes(name)) {
    throw new QuantcError('E_RANGES_UNKNOWN', `there is no way "${name}" to choose ranges`, {
      kind: 'usage',
      hint: `Ways: ${[...RANGE_METHODS.map(spelled), ...plugged].join(', ')}.`,
    });
  }
  const allowed = name in PARAMETERS ? PARAMETERS[name as Parametric] : undefined;
  if (given === undefined) return { name, parameter: allowed?.otherwise ?? Number.NaN };
  const parameter = given.trim() === '' ? Number.NaN : Number(given);
  const fits = allowed !== undefined && parameter > allowed.above && parameter <= allowed.upTo;
  if (rest.length === 0 && fits) return { name, parameter };
  const hint =
    allowed === undefined
      ? `Write \`${name}\` alone.`
      : `It is ${allowed.what}, above ${allowed.above} and up to ${allowed.upTo}, as in \`${name}:${allowed.otherwise}\`.`;
  throw new QuantcError('E_RANGES_PARAMETER', `"${text.slice(name.length + 1)}" is no parameter of ${name}`, {
    kind: 'usage',
    hint,
  });
}

const spelled = (name: Name): string =>
  name in PARAMETERS ? `${name}[:${PARAMETERS[name as Parametric].otherwise}]` : name;
