/** The precisions by name: known without loading a single pass, for whoever reads a config or a command line. */
import { QuantcError } from './errors/error.js';
import { PROFILES } from './target/target.js';

/**
 * How low the numbers go.
 * - `int8`: static; weights and activations int8, ranges from calibration data.
 * - `int8-dynamic`: weights int8, activations quantized while the model runs.
 * - `int8-weights`: the file holds int8, the executor computes in float.
 * - `int4`, `int2`, `int8-blocks`: weights of 4, 2 or 8 bits in blocks with a scale each; activations stay float.
 * - `auto-weights`: bits of each weight by what it does to outputs, as many bytes in all as int4 takes.
 * - `fp16`, `bf16`: arithmetic in 16-bit floats, or their storage where the target computes in float.
 * - `a8w8`, `a16w8`, `a16w4`, `mixed`: static, bits of activations and of weights; see `Profile` in `target.ts`. For
 *   targets that take graphs whole, and for no others.
 * - `float`: canonicalization alone.
 * - `auto`: by target, data and kind of model; see `recipe-auto.ts`.
 */
export const PRECISIONS = [
  'auto',
  'int8',
  'int8-dynamic',
  'int8-weights',
  'int4',
  'int2',
  'int8-blocks',
  'auto-weights',
  'fp16',
  'bf16',
  ...PROFILES,
  'float',
] as const;
export type Precision = (typeof PRECISIONS)[number];

/** @throws QuantcError E_PRECISION_UNKNOWN listing those there are. */
export function parsePrecision(name: string): Precision {
  if (/^(ternary|binary|int1|1|1\.58|bitnet)$/.test(name)) {
    throw new QuantcError(
      'E_PRECISION_TRAINED',
      `weights of ${name} must be trained: rounding alone ruins any model`,
      {
        kind: 'usage',
        hint: 'quantc finetune model.onnx --bits 1.58 (or 1) --out trained.onnx trains them; compile that with --precision int2.',
      },
    );
  }
  if ((PRECISIONS as readonly string[]).includes(name)) return name as Precision;
  throw new QuantcError('E_PRECISION_UNKNOWN', `there is no precision "${name}"`, {
    kind: 'usage',
    hint: `Precisions: ${PRECISIONS.join(', ')}.`,
  });
}
