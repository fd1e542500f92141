/** Which files of a model are delivered: those of the ONNX model, or the `.tflite` file that is made of it. */
import { writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { QuantcError } from '../errors/error.js';
import { readModel } from '../onnx/read.js';
import type { WrittenFile } from '../onnx/write.js';
import type { Ledger } from '../pipeline/ledger.js';
import { VERSION } from '../report/version.js';
import { inferTypes } from '../runtime/types.js';
import type { Target } from '../target/target.js';
import { type ConvertedPort, convertToTflite, encodeTflite } from '../tflite/index.js';

export interface Emitted {
  readonly target: Target;
  /** Path of the written ONNX model, and its name below the folder for the outputs. */
  readonly emitted: string;
  readonly name: string;
  readonly written: readonly WrittenFile[];
  /** Path for a file of this name. */
  readonly place: (name: string) => string;
  readonly ledger: Ledger;
  readonly maxMemory: number;
}

/**
 * Writes what the target wants beside the ONNX model, which serves for the proof then.
 * @returns names of the files to deliver, below the folder for the outputs
 * @throws QuantcError as `convertToTflite` and `encodeTflite` do, E_TFLITE_MEMORY when the file is over the ceiling
 */
export async function modelFiles(emission: Emitted): Promise<string[]> {
  const { target, name, written } = emission;
  if (target.format !== 'tflite') return written.map((file) => join(dirname(name), basename(file.path)));
  return [await writeTflite(emission)];
}

async function writeTflite({ emitted, name, place, ledger, maxMemory }: Emitted): Promise<string> {
  if (!/\.onnx$/.test(name) || dirname(name) !== '.') {
    throw new QuantcError('E_TFLITE_LAYOUT', 'only ONNX models have a layout for transformers.js', {
      kind: 'usage',
      hint: 'Leave out --layout for targets that are delivered as .tflite.',
    });
  }
  const model = readModel(emitted);
  await inferTypes(model);
  const { model: made, inputs, outputs } = convertToTflite(model, { description: `quantc ${VERSION}` });
  const bytes = made.tensors.reduce((sum, { data }) => sum + (data?.byteLength ?? 0), 0);
  if (bytes > maxMemory) {
    throw new QuantcError(
      'E_TFLITE_MEMORY',
      `a .tflite file is made in memory, and takes ${bytes} bytes there`,
      {
        kind: 'usage',
        hint: `Raise --max-memory, which is ${maxMemory} bytes.`,
      },
    );
  }
  const file = name.replace(/\.onnx$/, '.tflite');
  writeFileSync(place(file), encodeTflite(made));
  const said = (port: ConvertedPort): string =>
    `${port.name} [${port.shape}]${port.layout === 'last' ? ' (NHWC)' : ''}`;
  ledger.note(
    'info',
    'tflite-ports',
    `inputs: ${inputs.map(said).join(', ')}; outputs: ${outputs.map(said).join(', ')}`,
  );
  return file;
}
