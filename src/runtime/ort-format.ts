/** Files in ONNX Runtime's own format (.ort), which ONNX Runtime itself makes of an .onnx file. */
import { existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { QuantcError } from '../errors/error.js';
import { readModel } from '../onnx/read.js';
import { sessionBytes } from './place.js';
import { type ExtraOptions, withSession } from './session.js';

/**
 * - `fixed`: all optimizations are made beforehand, for processors: kernels for ARM, without blocks of channels, which
 *   x64 alone has.
 * - `runtime`: what a provider must not find done is only written down, and made of what the provider leaves when the
 *   session asks for it (`session.enable_saved_runtime_optimizations`): for NNAPI, Core ML, QNN, XNNPACK.
 */
export const ORT_STYLES = ['fixed', 'runtime'] as const;
export type OrtStyle = (typeof ORT_STYLES)[number];

/** What the file is called, as ONNX Runtime's own converter calls it. */
export const ortName = (onnx: string, style: OrtStyle): string =>
  `${onnx.replace(/\.onnx$/, '')}${style === 'runtime' ? '.with_runtime_opt' : ''}.ort`;

export interface OrtOptions {
  /** Configuration below `session.` that a session on the .onnx file would have: nothing is folded when .ort is loaded. */
  readonly session?: ExtraOptions;
  /** Bytes that the file must stay below. Default 2 GiB. */
  readonly mostBytes?: number;
}

/** Its offsets are signed 32-bit numbers. */
const MOST_BYTES = 2 ** 31;

/**
 * Makes an .ort file. External data are taken into it. It appears whole or not at all.
 * @param source an .onnx file
 * @throws QuantcError E_ORT_TOO_LARGE beyond 2 GiB, E_ORT_SAVE where ONNX Runtime cannot put the graph down
 */
export async function saveOrtFormat(
  source: string,
  target: string,
  style: OrtStyle,
  { session = {}, mostBytes = MOST_BYTES }: OrtOptions = {},
): Promise<void> {
  const weights = sessionBytes(readModel(source));
  if (weights >= mostBytes) throw tooLarge(source, weights);
  const made = join(dirname(target), `${basename(target)}.part`);
  const extra = {
    // Without it, an x64 machine would turn int8 activations to uint8, which ARM has no need of.
    session: { ...session, save_model_format: 'ORT', qdqisint8allowed: '1' },
    optimization: {
      disable_specified_optimizers: 'NchwcTransformer',
      ...(style === 'runtime' && { minimal_build_optimizations: 'save' }),
    },
  };
  try {
    await withSession(source, { optimization: 'all', optimizedPath: made, extra }, () => {});
    if (!existsSync(made)) throw new Error('no file was written');
  } catch (cause) {
    rmSync(made, { force: true });
    const reason = (cause as Error).message;
    throw new QuantcError('E_ORT_SAVE', `${basename(target)} cannot be made: ${reason}`, {
      place: { file: source },
      hint: 'The .onnx file is what it would be made of: leave out --format ort, and ship that.',
      cause,
    });
  }
  const { size } = statSync(made);
  if (size >= mostBytes) {
    rmSync(made, { force: true });
    throw tooLarge(source, size);
  }
  renameSync(made, target);
}

const tooLarge = (source: string, bytes: number): QuantcError =>
  new QuantcError(
    'E_ORT_TOO_LARGE',
    `${basename(source)} would take ${(bytes / 2 ** 30).toFixed(1)} GiB, and an .ort file holds less than 2`,
    {
      place: { file: source },
      hint: 'Ship the .onnx file with its external data, or make its weights smaller.',
    },
  );
