/** What is delivered beside an .onnx file: the same in ONNX Runtime's own format, and how to load either. */
import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { DataSet } from '../calibration/dataset.js';
import { QuantcError } from '../errors/error.js';
import type { Model } from '../ir/graph.js';
import type { Ledger } from '../pipeline/ledger.js';
import { nested } from '../prove.js';
import type { FileFacts } from '../report/report.js';
import { compareOutputs } from '../runtime/compare.js';
import { readOrtFile } from '../runtime/ort-file.js';
import { ORT_STYLES, type OrtStyle, ortName, saveOrtFormat } from '../runtime/ort-format.js';
import type { ExtraOptions, SessionOptions } from '../runtime/session.js';
import type { Target } from '../target/target.js';
import type { BindingName } from './format-name.js';
import type { CompileRequest } from './request.js';
import { requiredOperators } from './required-operators.js';
import { sessionText } from './session-file.js';
import type { Staging } from './staging.js';

/** What onnxruntime-react-native 1.24.3 hands over between JavaScript and the model on both systems. */
const UNSIGNED = /^uint/;

/** The newest opset that ONNX Runtime 1.24 guarantees. */
const NEWEST_OPSET = 24;

/**
 * Refuses what a binding cannot load or feed.
 * @throws QuantcError E_BINDING_UNSIGNED, E_BINDING_OPSET, E_BINDING_TYPE
 */
export function refuseForBinding(binding: BindingName | undefined, { graph, opset }: Model): void {
  if (binding !== 'react-native') return;
  const refuse = (code: string, message: string, hint: string): never => {
    throw new QuantcError(code, `onnxruntime-react-native: ${message}`, { hint });
  };
  if (opset > NEWEST_OPSET)
    refuse(
      'E_BINDING_OPSET',
      `opset ${opset} is newer than ${NEWEST_OPSET}`,
      'Choose a target with an older one.',
    );
  for (const value of [...graph.inputs, ...graph.outputs]) {
    if (value.type?.kind !== 'tensor')
      refuse('E_BINDING_TYPE', `"${value.name}" is no tensor`, 'It passes tensors alone.');
    if (UNSIGNED.test(value.dtype ?? ''))
      refuse(
        'E_BINDING_UNSIGNED',
        `"${value.name}" is ${value.dtype}, and it passes no unsigned integers (but uint8 on Android)`,
        'Export the model with float or int32 there, and a Cast behind it.',
      );
  }
}

export interface BesideRequest {
  readonly request: Pick<CompileRequest, 'formats' | 'binding' | 'threads'>;
  readonly target: Target;
  readonly precision: string;
  /** Name of the .onnx file among the outputs; it is written already. */
  readonly name: string;
  readonly staging: Staging;
  /** Files that must not be overwritten. */
  readonly inputs: Iterable<string>;
  /** Absent where nothing can be fed; then .ort files are made and loaded, and not run. */
  readonly samples: DataSet | undefined;
  readonly ledger: Ledger;
}

/**
 * Writes what is delivered beside the .onnx file, into the staging folder: .ort files where they are asked for, with the
 * operators that they need; and how to load each, for targets of providers. Each .ort file is run beside the .onnx file. Nothing where a .tflite file is delivered.
 * @throws QuantcError E_ORT_SAVE, E_ORT_TOO_LARGE
 */
export async function deliverBeside(delivery: BesideRequest): Promise<FileFacts[]> {
  const { target, precision, name, staging, inputs, ledger } = delivery;
  const { formats = ['onnx'], binding } = delivery.request;
  if (target.format === 'tflite') {
    // ONNX Runtime has no part in these.
    if (formats.includes('ort'))
      ledger.note('info', 'tflite-alone', `${target.name} is delivered as .tflite alone`);
    return [];
  }
  const files: FileFacts[] = [];
  const add = async (made: string): Promise<void> => {
    files.push(await staging.add(made, inputs));
  };
  const ort: Partial<Record<OrtStyle, string>> = {};
  if (formats.includes('ort') || binding === 'react-native') {
    for (const style of ORT_STYLES) {
      // Only a provider leaves something for later.
      if (style === 'runtime' && target.provider === undefined) continue;
      const made = ortName(name, style);
      await saveOrtFormat(staging.path(name), staging.path(made), style, { session: configOf(target) });
      await proveOrt(delivery, made, style);
      ort[style] = basename(made);
      await add(made);
    }
    const made = Object.values(ort);
    const texts = made.map((file) => readOrtFile(readFileSync(staging.path(beside(name, file)))));
    const config = `${name.replace(/\.onnx$/, '')}.required_operators.config`;
    writeFileSync(staging.path(config), requiredOperators(texts, made));
    await add(config);
  }
  if (target.provider !== undefined || Object.keys(ort).length > 0) {
    const made = `${name.replace(/\.onnx$/, '')}.session.json`;
    writeFileSync(staging.path(made), sessionText(target, precision, { onnx: basename(name), ort }));
    await add(made);
  }
  return files;
}

const beside = (name: string, file: string): string =>
  name.slice(0, name.length - basename(name).length) + file;

/** Session configuration of the target, below `session.`. */
function configOf(target: Target): ExtraOptions {
  const { session } = nested(target.session);
  return typeof session === 'object' ? session : {};
}

/** What an .ort file must answer as: the .onnx file with the same optimizations. */
const alike = (target: Target, style: OrtStyle): SessionOptions =>
  style === 'runtime'
    ? { optimization: 'basic', extra: { session: configOf(target) } }
    : {
        optimization: 'all',
        extra: {
          session: { ...configOf(target), qdqisint8allowed: '1' },
          optimization: { disable_specified_optimizers: 'NchwcTransformer' },
        },
      };

/** Runs both files on one sample. What differs is said; it may by rounding, where kernels add up in another order. */
async function proveOrt(delivery: BesideRequest, made: string, style: OrtStyle): Promise<void> {
  const { target, staging, name, samples, ledger } = delivery;
  const { threads } = delivery.request;
  if (samples === undefined) return;
  const options = threads === undefined ? {} : { threads };
  const outputs = await compareOutputs(staging.path(name), staging.path(made), samples.first(1), {
    reference: { ...alike(target, style), ...options },
    candidate: options,
  });
  const differing = outputs.filter(({ identical }) => !identical);
  const least = Math.min(...differing.map(({ sqnr }) => sqnr));
  ledger.note(
    differing.length === 0 ? 'info' : 'warning',
    differing.length === 0 ? 'ort-format' : 'W_ORT_DIFFERS',
    differing.length === 0
      ? `${basename(made)} answers as the .onnx file does, bit for bit`
      : `${basename(made)} answers otherwise than the .onnx file: ${least.toFixed(1)} dB at "${differing[0]!.name}"`,
  );
}
