/** Reading models and tensors: from memory, or from a file without loading its weights. */
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { QuantcError } from '../errors/error.js';
import type { Model } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { ExternalFolder } from './external-data.js';
import { readMessageFromFile } from './file-read.js';
import { decodeModelProto } from './model-proto.js';
import { decodeTensorProto } from './tensor-proto.js';
import { readMessage } from './wire-read.js';

/** Protobuf's own limit, and ONNX Runtime's: no message may reach 2 GiB. */
export const MAX_MODEL_BYTES = 2 ** 31 - 1;

/** Up to this size a file is read whole; beyond it, weights stay in the file. */
const RESIDENT_BYTES = 64 << 20;

/**
 * Decodes a model from memory. Weights are views of `bytes`, which must not be written to afterwards.
 * @param origin the file that the bytes came from: external data is looked for in its folder.
 * @throws QuantcError with a code E_ONNX_…, E_GRAPH_… or E_DTYPE_UNKNOWN when it is not a sound model.
 */
export function decodeModel(bytes: Uint8Array, origin: { readonly file?: string } = {}): Model {
  return inFile(origin.file, () => {
    requireSize(bytes.byteLength);
    const folder = origin.file === undefined ? undefined : new ExternalFolder(dirname(origin.file));
    const model = decodeModelProto(readMessage('ModelProto', bytes), folder);
    model.file = origin.file;
    return model;
  });
}

/**
 * Reads a model file. The weights of a large one (over 64 MiB) stay in the file until somebody asks for them; the file
 * must not change meanwhile.
 * @throws QuantcError E_ONNX_READ when it cannot be read, E_ONNX_TOO_LARGE from 2 GiB on; else as `decodeModel`.
 */
export function readModel(path: string): Model {
  return inFile(path, () => {
    const file = openForReading(path);
    try {
      const { size } = fstatSync(file);
      requireSize(size);
      if (size <= RESIDENT_BYTES) return decodeModel(readFileSync(file), { file: path });
      const folder = new ExternalFolder(dirname(path));
      const model = decodeModelProto(readMessageFromFile('ModelProto', file, path, size), folder);
      model.file = path;
      return model;
    } finally {
      closeSync(file);
    }
  });
}

/** Decodes one serialized TensorProto (the `.pb` files of ONNX's test suites). @throws QuantcError as `decodeModel` */
export function decodeTensor(bytes: Uint8Array): Tensor {
  return decodeTensorProto(readMessage('TensorProto', bytes), undefined);
}

function openForReading(path: string): number {
  let file: number;
  try {
    file = openSync(path, 'r');
    if (fstatSync(file).isFile()) return file;
  } catch (cause) {
    throw new QuantcError('E_ONNX_READ', `cannot read the model: ${(cause as Error).message}`, { cause });
  }
  closeSync(file);
  throw new QuantcError('E_ONNX_READ', 'cannot read the model: it is not a regular file');
}

function requireSize(size: number): void {
  if (size <= MAX_MODEL_BYTES) return;
  throw new QuantcError('E_ONNX_TOO_LARGE', `a model of ${size} bytes: protobuf ends below 2 GiB`, {
    hint: 'Export the model with external data, so that its weights stand in a file beside it.',
  });
}

/** Adds the file to the place of whatever goes wrong. */
function inFile<T>(file: string | undefined, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof QuantcError) || file === undefined || error.place.file !== undefined) throw error;
    const { code, message, kind, hint } = error;
    throw new QuantcError(code, message, { kind, hint, cause: error, place: { file, ...error.place } });
  }
}
