/** A folder of pictures as the samples of one input: bytes, channels last; the transform does the rest. */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { QuantcError } from '../../errors/error.js';
import { Tensor } from '../../ir/tensor.js';
import type { Dim } from '../../ir/type.js';
import type { Transform } from '../manifest.js';
import { evenly, type RowSource } from '../rows.js';
import {
  formatOf,
  type ImageDecoder,
  type ImageDecoderName,
  imageDecoder,
  inChannels,
  unreadable,
} from './decode-image.js';
import { fitPicture, type Size } from './fit.js';
import { listFiles } from './listing.js';
import type { ImagesSpec } from './specs.js';
import { Spool } from './spool.js';

/** Names of picture files end so. */
export const IMAGE_ENDINGS = ['.jpg', '.jpeg', '.png', '.webp', '.gif', '.tif', '.tiff', '.avif'];

/** Fitted pictures that are kept on disk, in bytes: those beyond are decoded again each time. */
const SPOOLED_BYTES = 2 ** 31;

/** Pictures decoded side by side: sharp works in threads of its own. */
const AT_ONCE = 4;

export interface OpenImagesOptions {
  readonly decoder?: ImageDecoderName;
  /** So many of them, evenly spread over the sorted list. */
  readonly samples?: number;
  readonly onProgress?: (share: number) => void;
}

/**
 * Opens a folder of pictures (or one picture). First every file's head and end are looked at, which is quick; then all
 * are decoded, fitted, and kept on disk up to 2 GiB, so that no run meets a picture that cannot be read, and none is
 * decoded twice.
 * @param shape of the model's input, if known
 * @returns rows of bytes [height, width, channels], and the transform that makes the model's input of them
 * @throws QuantcError E_DATA_READ, E_DATA_EMPTY, E_DATA_IMAGE naming the file, E_DATA_LAYOUT and E_DATA_SIZE where
 * neither the declaration nor the model says, E_DATA_SPOOL
 */
export async function openImages(
  folder: string,
  spec: ImagesSpec,
  shape: readonly Dim[] | undefined,
  value: string,
  options: OpenImagesOptions = {},
): Promise<{ rows: RowSource; transform: Transform }> {
  const place = { file: folder, value };
  const wanted = spec.channels ?? (shape !== undefined && depthOf(shape, spec) === 1 ? 'gray' : 'RGB');
  const channels = wanted === 'gray' ? 1 : 3;
  const layout = spec.layout ?? layoutOf(shape, channels, place);
  const size = sizeOf(spec, shape, layout, place);
  const listed = listFiles(folder, IMAGE_ENDINGS, 'picture');
  const names = evenly(listed.length, options.samples ?? listed.length).map((i) => listed[i]!);
  const decoder = await imageDecoder(options.decoder);
  for (const name of names) lookAt(join(folder, name), decoder);
  const decode = async (index: number): Promise<Uint8Array> => {
    const file = join(folder, names[index]!);
    const picture = inChannels(await decoder.decode(readPicture(file), file), wanted);
    return fitPicture(picture, size, spec, file).data;
  };
  const row = size[0] * size[1] * channels;
  const spooled = Math.min(names.length, Math.floor(SPOOLED_BYTES / row));
  const spool = new Spool();
  for (let start = 0; start < spooled; start += AT_ONCE) {
    const some = Math.min(AT_ONCE, spooled - start);
    for (const bytes of await Promise.all(Array.from({ length: some }, (_, i) => decode(start + i))))
      spool.append(bytes);
    options.onProgress?.((start + some) / spooled);
  }
  const rows: RowSource = {
    file: folder,
    dtype: 'uint8',
    shape: [names.length, ...size, channels],
    fileOf: (index) => names[index]!,
    async rows(start, count) {
      const kept = Math.max(0, Math.min(count, spooled - start));
      const bytes = new Uint8Array(count * row);
      if (kept > 0) bytes.set(spool.read(start * row, kept * row));
      for (let i = kept; i < count; i++) bytes.set(await decode(start + i), i * row);
      return Tensor.of('uint8', [count, ...size, channels], bytes);
    },
    hashRows(hash, count) {
      hash.update(JSON.stringify([decoder.name, spec, wanted, size]));
      // The files rather than the pixels: those that are not kept need not be decoded for it.
      for (const name of names.slice(0, count)) hash.update(readPicture(join(folder, name)));
    },
  };
  const { scale, mean, std } = spec;
  const transform: Transform = {
    layout: layout === 'NCHW' ? 'NHWC->NCHW' : 'NHWC',
    ...(scale !== undefined && { scale }),
    ...(mean && { mean }),
    ...(std && { std }),
  };
  return { rows, transform };
}

interface Place {
  readonly file: string;
  readonly value: string;
}

/** Channels that the model takes, where its shape and the declared layout tell. */
function depthOf(shape: readonly Dim[], { layout }: ImagesSpec): Dim | undefined {
  if (shape.length !== 4) return undefined;
  if (layout !== undefined) return shape[layout === 'NCHW' ? 1 : 3];
  return shape[1] === 3 || shape[3] === 3 ? 3 : shape[1] === 1 || shape[3] === 1 ? 1 : undefined;
}

function layoutOf(shape: readonly Dim[] | undefined, channels: number, place: Place): 'NCHW' | 'NHWC' {
  const first = shape?.length === 4 && shape[1] === channels;
  const last = shape?.length === 4 && shape[3] === channels;
  if (first !== last) return first ? 'NCHW' : 'NHWC';
  const seen = shape === undefined ? 'unknown' : `[${shape.map((dim) => dim ?? '?')}]`;
  throw new QuantcError(
    'E_DATA_LAYOUT',
    `the input's shape, ${seen}, does not say where its ${channels} channels lie`,
    {
      place,
      hint: 'Declare "layout": "NCHW" or "NHWC" in the images of the data.json.',
    },
  );
}

function sizeOf(
  spec: ImagesSpec,
  shape: readonly Dim[] | undefined,
  layout: 'NCHW' | 'NHWC',
  place: Place,
): Size {
  const declared = typeof spec.size === 'number' ? ([spec.size, spec.size] as const) : spec.size;
  const at = layout === 'NCHW' ? 2 : 1;
  const [height, width] = declared ?? [shape?.[at], shape?.[at + 1]];
  if (typeof height !== 'number' || typeof width !== 'number' || height < 1 || width < 1) {
    throw new QuantcError('E_DATA_SIZE', 'neither the data nor the model says how large a picture becomes', {
      place,
      hint: 'Declare "size": [height, width] in the images of the data.json.',
    });
  }
  if (spec.shortSide !== undefined && (spec.fit !== 'cover' || spec.shortSide < Math.max(height, width))) {
    throw new QuantcError(
      'E_DATA_SIZE',
      `a shorter side of ${spec.shortSide} does not cover ${width}×${height}`,
      {
        place,
        hint: '"shortSide" goes with "fit": "cover" and is no smaller than "size".',
      },
    );
  }
  return [height, width];
}

/** @throws QuantcError E_DATA_IMAGE */
function readPicture(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

/** Bytes at the end of a file in which the mark of its end must lie: some programs append a little. */
const TAIL = 4096;

/**
 * A quick look at a file's head and end, which shows most of what goes wrong with pictures: empty files, other formats
 * under a picture's name, downloads that broke off.
 */
function lookAt(file: string, decoder: ImageDecoder): void {
  const no = (why: string): QuantcError => unreadable(file, new Error(why));
  let head: Uint8Array;
  let tail: Uint8Array;
  try {
    const handle = openSync(file, 'r');
    try {
      const { size } = fstatSync(handle);
      head = new Uint8Array(Math.min(size, 16));
      tail = new Uint8Array(Math.min(size, TAIL));
      readSync(handle, head, 0, head.length, 0);
      readSync(handle, tail, 0, tail.length, size - tail.length);
    } finally {
      closeSync(handle);
    }
  } catch (cause) {
    throw unreadable(file, cause);
  }
  if (head.length === 0) throw no('the file is empty');
  const format = formatOf(head);
  if (format === undefined && decoder.name === 'plain') {
    throw no('it is neither PNG nor JPEG; other formats are read where the package sharp is installed');
  }
  const end = format === 'PNG' ? Buffer.from('IEND') : Buffer.from([0xff, 0xd9]);
  if (format !== undefined && Buffer.from(tail.buffer).lastIndexOf(end) < 0)
    throw no('the file is cut short');
}
