/** Writing a model to disk: streamed tensor by tensor, whole or not at all. */
import { randomBytes } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { QuantcError } from '../errors/error.js';
import type { Model } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { type EncodeOptions, segmentsOfModel } from './encode.js';
import { type ExternalChoice, type ExternalLayout, layOut, tensorsOf } from './external-layout.js';
import { type PlaceTensor, placeSegments } from './place-write.js';
import { streamSegments } from './stream-write.js';
import type { Segment } from './wire-write.js';

export interface WriteOptions {
  /**
   * Where large tensors go: `never` into the model, `always` into `<file>_data` beside it, `auto` (the default) there
   * when the model was read with external data or would come near 2 GiB.
   */
  readonly externalData?: ExternalChoice;
  /**
   * Most bytes of one external data file; what does not fit goes on in `<file>_data_1`, `<file>_data_2` … A tensor is
   * never cut, so that one that is larger has a file of its own. Default: one file, however large.
   */
  readonly dataBytes?: number;
  readonly valueInfo?: EncodeOptions['valueInfo'];
  /** Gives the bytes of a derived tensor, perhaps from a worker; the default computes them in place. */
  readonly materialize?: (tensor: Tensor) => Promise<Uint8Array>;
  /** How many derived tensors may be asked for at once (default 1). The file is the same whatever the number. */
  readonly inFlight?: number;
  /**
   * Writes a tensor into the file under way by itself, as a worker pool does; `materialize` is then not asked. Many are
   * asked for at once. It must know every kind of tensor source but strings.
   */
  readonly place?: PlaceTensor;
  readonly onProgress?: (bytesDone: number, bytesTotal: number) => void;
}

export interface WrittenFile {
  readonly path: string;
  readonly bytes: number;
}

interface Part {
  readonly path: string;
  readonly temporary: string;
  readonly segments: readonly Segment[];
  readonly bytes: number;
}

/**
 * Writes a model, and its external data file if it has one. Files are written under temporary names in the same folder
 * and renamed when all is done: a failure leaves nothing behind and nothing changed. Memory follows the largest tensor;
 * equal models give equal bytes.
 * @throws QuantcError E_ONNX_OVERWRITE when a file to be written is one that the model reads from, E_ONNX_WRITE when
 * the file system refuses, E_ONNX_TOO_LARGE when the model itself would reach 2 GiB; errors of derivations.
 */
export async function writeModel(
  model: Model,
  path: string,
  options: WriteOptions = {},
): Promise<{ files: WrittenFile[] }> {
  const target = resolve(path);
  const parts = plan(model, target, options);
  await refuseInputs(model, parts);
  const total = parts.reduce((sum, part) => sum + part.bytes, 0);
  let done = 0;
  const stream = {
    materialize: options.materialize ?? (async (tensor: Tensor) => tensor.bytes()),
    inFlight: Math.max(1, options.inFlight ?? 1),
    onBytes: (count: number) => {
      done += count;
      options.onProgress?.(done, total);
    },
  };
  const leftovers = new Set<string>();
  try {
    for (const part of parts) {
      leftovers.add(part.temporary);
      const file = await open(part.temporary, 'wx');
      try {
        const { place } = options;
        if (place) {
          const { onBytes } = stream;
          await placeSegments(file, part.temporary, part.segments, part.bytes, { place, onBytes });
        } else await streamSegments(file, part.segments, stream);
      } finally {
        await close(file);
      }
    }
    await publish(parts, leftovers);
  } catch (cause) {
    if (cause instanceof QuantcError) throw cause;
    if (!(cause instanceof Error && 'syscall' in cause)) throw cause;
    throw new QuantcError('E_ONNX_WRITE', `cannot write the model: ${cause.message}`, {
      place: { file: target },
      hint: 'Nothing was written. Check the folder, its permissions and the free space.',
      cause,
    });
  } finally {
    for (const leftover of leftovers) await rm(leftover, { force: true });
  }
  return { files: parts.map(({ path: written, bytes }) => ({ path: written, bytes })).reverse() };
}

/**
 * Renames all files to their own names, the data file first: a model never stands there without its data. Should the
 * last rename fail, what stood under the earlier names is put back.
 */
async function publish(parts: readonly Part[], leftovers: Set<string>): Promise<void> {
  const moved: { readonly path: string; readonly aside: string }[] = [];
  try {
    for (const part of parts) {
      const aside = `${part.temporary}.old`;
      if (part !== parts.at(-1) && (await exists(part.path))) {
        await rename(part.path, aside);
        moved.push({ path: part.path, aside });
      }
      await rename(part.temporary, part.path);
      leftovers.delete(part.temporary);
      leftovers.add(part.path);
    }
  } catch (error) {
    for (const { path, aside } of moved) {
      leftovers.delete(path);
      await rename(aside, path);
    }
    throw error;
  }
  leftovers.clear();
  for (const { aside } of moved) leftovers.add(aside);
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** Closing tells of late failures on some file systems, so it is awaited, not forgotten. */
const close = (file: FileHandle): Promise<void> => file.close();

/** The files to write, data files before the model. */
function plan(model: Model, target: string, options: WriteOptions): Part[] {
  const location = `${basename(target)}_data`;
  const layout = layOut(model, options.externalData ?? 'auto', location, options.dataBytes);
  const { segments, length } = segmentsOfModel(model, {
    valueInfo: options.valueInfo,
    external: layout && ((tensor) => layout.places.get(tensor)),
  });
  const mark = `${process.pid}-${randomBytes(4).toString('hex')}.partial`;
  const part = (path: string, bytes: number, pieces: readonly Segment[]): Part => ({
    path,
    temporary: join(dirname(path), `.${basename(path)}.${mark}`),
    segments: pieces,
    bytes,
  });
  const main = part(target, length, segments);
  if (layout === undefined) return [main];
  const data = layout.files.map((file) =>
    part(join(dirname(target), file.location), file.length, dataSegments(layout, file.location)),
  );
  return [...data.reverse(), main];
}

/** Tensors of one file in the order of their places, with zeros between them. */
function dataSegments(layout: ExternalLayout, location: string): Segment[] {
  const zeros = new Uint8Array(64 << 10);
  const segments: Segment[] = [];
  let at = 0;
  for (const [tensor, place] of layout.places) {
    if (place.location !== location) continue;
    if (place.offset > at) segments.push(zeros.subarray(0, place.offset - at));
    segments.push(tensor.source.kind === 'memory' ? tensor.source.bytes : tensor);
    at = place.offset + place.length;
  }
  return segments;
}

/** Weights are read while the new file is written, so it must be another file, by whatever name. */
async function refuseInputs(model: Model, parts: readonly Part[]): Promise<void> {
  const inputs = new Set<string>();
  if (model.file !== undefined) inputs.add(realOf(model.file));
  const collect = (tensor: Tensor): void => {
    if (tensor.source.kind === 'file') inputs.add(realOf(tensor.source.path));
    else if (tensor.source.kind === 'derived') tensor.source.from.forEach(collect);
  };
  for (const { tensor } of tensorsOf(model)) collect(tensor);
  for (const { path } of parts) {
    if (inputs.has(realOf(path))) {
      throw new QuantcError('E_ONNX_OVERWRITE', 'the model would be written over its own input', {
        kind: 'usage',
        place: { file: path },
        hint: 'Choose another folder or another name.',
      });
    }
    const there = await stat(path).catch(() => undefined);
    if (there?.isDirectory()) {
      throw new QuantcError('E_ONNX_WRITE', 'a folder stands where the model should be written', {
        kind: 'usage',
        place: { file: path },
      });
    }
  }
}

/** The path with links resolved as far as the file exists. */
function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}
