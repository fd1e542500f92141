/**
 * Pictures of one size into another: a separable convolution whose kernel widens with the shrinking (so that nothing
 * is skipped over), rounded to bytes after each direction, as Pillow and torchvision do it. It is our own so that
 * bytes do not depend on who decoded the picture.
 */

/** Interleaved bytes, row by row. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: Uint8Array;
}

export type Filter = 'nearest' | 'bilinear' | 'bicubic';

/** A rectangle of the resized picture. */
export interface Window {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Kernels by the distance from the centre; bicubic is Keys' with a = -0.5. */
const KERNELS = {
  bilinear: { reach: 1, at: (x: number) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: {
    reach: 2,
    at(x: number) {
      const d = Math.abs(x);
      if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
      return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
    },
  },
};

/** For each element that is made: where it starts to read, and the weights from there on. */
interface Taps {
  readonly starts: Int32Array;
  readonly weights: readonly Float64Array[];
}

/**
 * Resizes a picture to `width` × `height` and gives the window of that, computing nothing else.
 * @param window inside the resized picture; default all of it
 */
export function resize(
  picture: Picture,
  width: number,
  height: number,
  filter: Filter = 'bilinear',
  window: Window = { left: 0, top: 0, width, height },
): Picture {
  const across = tapsOf(picture.width, width, filter, window.left, window.width);
  const down = tapsOf(picture.height, height, filter, window.top, window.height);
  const first = down.starts[0]!;
  const end = down.starts.reduce((most, start, i) => Math.max(most, start + down.weights[i]!.length), 0);
  const narrow = convolveRows(picture, across, first, end);
  return convolveColumns(narrow, down, first);
}

/** A window of a picture as it is. */
export function cut(picture: Picture, { left, top, width, height }: Window): Picture {
  const { channels } = picture;
  const data = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * picture.width + left) * channels;
    data.set(picture.data.subarray(from, from + width * channels), y * width * channels);
  }
  return { width, height, channels, data };
}

function tapsOf(size: number, wanted: number, filter: Filter, from: number, count: number): Taps {
  const scale = size / wanted;
  const starts = new Int32Array(count);
  const weights: Float64Array[] = [];
  for (let i = 0; i < count; i++) {
    const centre = (from + i + 0.5) * scale;
    if (filter === 'nearest') {
      starts[i] = Math.min(size - 1, Math.floor(centre));
      weights.push(Float64Array.of(1));
      continue;
    }
    const kernel = KERNELS[filter];
    const spread = Math.max(scale, 1);
    const start = Math.max(0, Math.floor(centre - kernel.reach * spread + 0.5));
    const end = Math.min(size, Math.floor(centre + kernel.reach * spread + 0.5));
    const own = Float64Array.from({ length: Math.max(1, end - start) }, (_, k) =>
      kernel.at((start + k + 0.5 - centre) / spread),
    );
    const sum = own.reduce((total, weight) => total + weight, 0);
    starts[i] = start;
    weights.push(own.map((weight) => weight / sum));
  }
  return { starts, weights };
}

/** Rows `first` to `end`, each squeezed or stretched. */
function convolveRows(picture: Picture, taps: Taps, first: number, end: number): Picture {
  const { channels } = picture;
  const width = taps.starts.length;
  const data = new Uint8Array((end - first) * width * channels);
  let to = 0;
  for (let y = first; y < end; y++) {
    for (let x = 0; x < width; x++) {
      const weights = taps.weights[x]!;
      const from = (y * picture.width + taps.starts[x]!) * channels;
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) sum += weights[k]! * picture.data[from + k * channels + c]!;
        data[to++] = toByte(sum);
      }
    }
  }
  return { width, height: end - first, channels, data };
}

/** @param first row of the whole picture that is the first here */
function convolveColumns(picture: Picture, taps: Taps, first: number): Picture {
  const row = picture.width * picture.channels;
  const height = taps.starts.length;
  const data = new Uint8Array(height * row);
  const sums = new Float64Array(row);
  for (let y = 0; y < height; y++) {
    sums.fill(0);
    taps.weights[y]!.forEach((weight, k) => {
      const from = (taps.starts[y]! - first + k) * row;
      for (let i = 0; i < row; i++) sums[i]! += weight * picture.data[from + i]!;
    });
    for (let i = 0; i < row; i++) data[y * row + i] = toByte(sums[i]!);
  }
  return { ...picture, height, data };
}

const toByte = (x: number): number => (x <= 0 ? 0 : x >= 255 ? 255 : Math.floor(x + 0.5));
