/**
 * From the bytes of a picture file to its pixels: by sharp where it is installed, which is several times as fast and
 * reads more formats, else by decoders in plain JavaScript. Neither resizes, turns, or converts colours by profile.
 * PNG gives the same bytes either way; of JPEG the two may round differently.
 */
import { convertIndexedToRgb, decode as decodePng } from 'fast-png';
import jpeg from 'jpeg-js';
import { QuantcError } from '../../errors/error.js';
import type { Picture } from './resize.js';

export type ImageDecoderName = 'sharp' | 'plain';

export interface ImageDecoder {
  readonly name: ImageDecoderName;
  /**
   * Pixels of one or three channels; what was transparent loses its transparency, 16 bits their lower half.
   * @throws QuantcError E_DATA_IMAGE naming the file
   */
  decode(bytes: Uint8Array, file: string): Promise<Picture>;
}

/** Larger pictures are refused: they would take hundreds of megabytes each. */
const MOST_PIXELS = 100e6;

/** Sharp where it is installed, else plain JavaScript. @param wanted one of them by name; sharp only if it is there */
export async function imageDecoder(wanted?: ImageDecoderName): Promise<ImageDecoder> {
  if (wanted === 'plain') return PLAIN;
  const sharp = await loadSharp();
  if (sharp !== undefined) return sharp;
  if (wanted === 'sharp')
    throw new QuantcError('E_DATA_DECODER', 'sharp is not installed', { kind: 'usage' });
  return PLAIN;
}

async function loadSharp(): Promise<ImageDecoder | undefined> {
  let sharp: typeof import('sharp').default;
  try {
    sharp = (await import('sharp')).default;
  } catch {
    // Not installed, or not for this machine: it is optional.
    return undefined;
  }
  return {
    name: 'sharp',
    async decode(bytes, file) {
      try {
        const options = { failOn: 'error', ignoreIcc: true, limitInputPixels: MOST_PIXELS } as const;
        const { data, info } = await sharp(bytes, options)
          .toColourspace('srgb')
          .raw({ depth: 'uchar' })
          .toBuffer({ resolveWithObject: true });
        return opaque(info.width, info.height, info.channels, data);
      } catch (cause) {
        throw unreadable(file, cause);
      }
    },
  };
}

const PLAIN: ImageDecoder = {
  name: 'plain',
  async decode(bytes, file) {
    try {
      switch (formatOf(bytes)) {
        case 'PNG':
          return plainPng(bytes);
        case 'JPEG': {
          // Each block of 64 pixels takes a bit at least: a header that promises more is a damaged one.
          const most = Math.min(MOST_PIXELS, bytes.length * 512);
          const options = { useTArray: true, formatAsRGBA: false, tolerantDecoding: false } as const;
          const { width, height, data } = jpeg.decode(bytes, {
            ...options,
            maxResolutionInMP: most / 1e6,
            // Three coefficients of four bytes a pixel, and the pixels twice: strange sampling factors ask for more.
            maxMemoryUsageInMB: Math.min(4096, 16 + (most * 20) / 2 ** 20),
          });
          return { width, height, channels: 3, data };
        }
        default:
          throw new Error(
            'it is neither PNG nor JPEG; other formats are read where the package sharp is installed',
          );
      }
    } catch (cause) {
      throw unreadable(file, cause);
    }
  },
};

/** What a file is by its first bytes, whatever it is called. */
export function formatOf(bytes: Uint8Array): 'PNG' | 'JPEG' | undefined {
  if ([0x89, 0x50, 0x4e, 0x47].every((byte, i) => bytes[i] === byte)) return 'PNG';
  return bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff ? 'JPEG' : undefined;
}

export const unreadable = (file: string, cause: unknown): QuantcError =>
  new QuantcError(
    'E_DATA_IMAGE',
    `the picture cannot be read: ${(cause as Error).message.split('\n', 1)[0]}`,
    {
      place: { file },
      hint: 'Replace the file or take it out of the folder.',
      cause,
    },
  );

function plainPng(bytes: Uint8Array): Picture {
  const header = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 24 || header.getUint32(16) * header.getUint32(20) > MOST_PIXELS) {
    throw new Error('its header is damaged, or it is larger than 100 megapixels');
  }
  const png = decodePng(bytes, { checkCrc: true });
  const { width, height } = png;
  if (png.palette) return opaque(width, height, png.palette[0]!.length, convertIndexedToRgb(png));
  if (png.depth === 16) {
    return opaque(
      width,
      height,
      png.channels,
      Uint8Array.from(png.data, (x) => x >> 8),
    );
  }
  if (png.depth === 8) return opaque(width, height, png.channels, new Uint8Array(png.data));
  return { width, height, channels: 1, data: unpackedGray(png.data, width, height, png.depth) };
}

/** Gray of 1, 2 or 4 bits, packed row by row, spread over 0 to 255. */
function unpackedGray(packed: ArrayLike<number>, width: number, height: number, depth: number): Uint8Array {
  const out = new Uint8Array(width * height);
  const most = (1 << depth) - 1;
  const row = Math.ceil((width * depth) / 8);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const bit = x * depth;
      const shift = 8 - depth - (bit % 8);
      out[y * width + x] = (((packed[y * row + (bit >> 3)]! >> shift) & most) * 255) / most;
    }
  }
  return out;
}

/** Without the channel of transparency, where there is one. */
function opaque(width: number, height: number, channels: number, data: Uint8Array): Picture {
  const kept = channels <= 2 ? 1 : 3;
  if (channels === kept) return { width, height, channels, data };
  const out = new Uint8Array(width * height * kept);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < kept; c++) out[i * kept + c] = data[i * channels + c]!;
  }
  return { width, height, channels: kept, data: out };
}

/** The same pixels in the channels that a model takes: gray is the luma of ITU-R BT.601. */
export function inChannels(picture: Picture, wanted: 'RGB' | 'BGR' | 'gray'): Picture {
  const { width, height, channels, data } = picture;
  const count = wanted === 'gray' ? 1 : 3;
  if (channels === count && wanted !== 'BGR') return picture;
  const out = new Uint8Array(width * height * count);
  for (let i = 0; i < width * height; i++) {
    const from = i * channels;
    const [r, g, b] =
      channels === 1
        ? [data[from]!, data[from]!, data[from]!]
        : [data[from]!, data[from + 1]!, data[from + 2]!];
    if (wanted === 'gray') out[i] = Math.floor((299 * r + 587 * g + 114 * b + 500) / 1000);
    else {
      out[i * 3] = wanted === 'BGR' ? b : r;
      out[i * 3 + 1] = g;
      out[i * 3 + 2] = wanted === 'BGR' ? r : b;
    }
  }
  return { width, height, channels: count, data: out };
}
