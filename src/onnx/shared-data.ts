/** Several models whose large tensors stand in one file, equal ones once. */
import { createHash } from 'node:crypto';
import { type FileHandle, open, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { QuantcError } from '../errors/error.js';
import type { Tensor } from '../ir/tensor.js';
import { encodeModel } from './encode.js';
import type { ExternalPlace } from './external-data.js';
import { tensorsOf } from './external-layout.js';
import { readModel } from './read.js';

/** Smaller tensors stay in their models. */
const SHARED_BYTES = 1 << 10;
const ALIGNMENT = 64;

/** What came of it: how long the file is, and how long it would be if nothing stood there once for several. */
export interface SharedData {
  readonly bytes: number;
  readonly apart: number;
}

/**
 * Moves the large initializers of models, each whole in a file of its own, into one external data file beside them.
 * Tensors of equal bytes stand at one place, whatever their models call them. A tensor is held at a time. The models
 * are written anew, under temporary names first.
 * @param paths of the models, all in the folder of `data`
 * @throws QuantcError E_ONNX_WRITE when a file cannot be written
 */
export async function shareData(paths: readonly string[], data: string): Promise<SharedData> {
  const location = basename(data);
  const placed = new Map<string, ExternalPlace>();
  let [length, apart] = [0, 0];
  const temporary = paths.map((path) => `${path}.shared`);
  let file: FileHandle | undefined;
  try {
    file = await open(data, 'wx');
    for (const [at, path] of paths.entries()) {
      const model = readModel(path);
      const places = new Map<Tensor, ExternalPlace>();
      for (const { tensor, movable } of tensorsOf(model)) {
        if (!movable || tensor.source.kind === 'strings' || tensor.byteLength < SHARED_BYTES) continue;
        const bytes = tensor.bytes();
        apart += bytes.length;
        const key = createHash('sha256').update(bytes).digest('hex');
        let place = placed.get(key);
        if (place === undefined) {
          place = { location, offset: Math.ceil(length / ALIGNMENT) * ALIGNMENT, length: bytes.length };
          await file.write(bytes, 0, bytes.length, place.offset);
          length = place.offset + place.length;
          placed.set(key, place);
        }
        places.set(tensor, place);
      }
      const external = (tensor: Tensor) => places.get(tensor);
      await writeFile(temporary[at]!, encodeModel(model, { external, valueInfo: 'declared' }));
    }
    await file.close();
    file = undefined;
    for (const [at, path] of paths.entries()) await rename(temporary[at]!, path);
    return { bytes: length, apart };
  } catch (cause) {
    if (!(cause instanceof Error && 'syscall' in cause)) throw cause;
    throw new QuantcError('E_ONNX_WRITE', `cannot write the shared data: ${cause.message}`, {
      place: { file: dirname(data) },
      cause,
    });
  } finally {
    await file?.close();
    for (const each of temporary) await rm(each, { force: true });
  }
}
