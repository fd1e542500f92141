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

/** For each element that is made: where it starts to read, and `most` weights from there on, the last ones perhaps 0. */
interface Taps {
  readonly starts: Int32Array;
  readonly weights: Float64Array;
  readonly most: number;
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
  const end = Math.min(picture.height, down.starts.at(-1)! + down.most);
  return convolveColumns(convolveRows(picture, across, first, end), down, first);
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
  if (filter === 'nearest') {
    for (let i = 0; i < count; i++) starts[i] = Math.min(size - 1, Math.floor((from + i + 0.5) * scale));
    return { starts, weights: new Float64Array(count).fill(1), most: 1 };
  }
  const kernel = KERNELS[filter];
  const spread = Math.max(scale, 1);
  const most = Math.min(size, Math.ceil(2 * kernel.reach * spread) + 1);
  const weights = new Float64Array(count * most);
  for (let i = 0; i < count; i++) {
    const centre = (from + i + 0.5) * scale;
    const start = Math.max(0, Math.floor(centre - kernel.reach * spread + 0.5));
    const end = Math.min(size, Math.floor(centre + kernel.reach * spread + 0.5));
    // At the far edge the row begins earlier, so that all of its weights fall inside the picture.
    starts[i] = Math.min(start, size - most);
    let sum = 0;
    for (let k = start; k < end; k++) {
      const weight = kernel.at((k + 0.5 - centre) / spread);
      weights[i * most + k - starts[i]!] = weight;
      sum += weight;
    }
    for (let k = 0; k < most; k++) weights[i * most + k]! /= sum;
  }
  return { starts, weights, most };
}

/** Rows `first` to `end`, each squeezed or stretched. */
function convolveRows(picture: Picture, taps: Taps, first: number, end: number): Picture {
  const { channels, data: source } = picture;
  const { starts, weights, most } = taps;
  const width = starts.length;
  const data = new Uint8Array((end - first) * width * channels);
  let to = 0;
  for (let y = first; y < end; y++) {
    const row = y * picture.width;
    for (let x = 0; x < width; x++) {
      let from = (row + starts[x]!) * channels;
      const last = (x + 1) * most;
      if (channels === 3) {
        let [r, g, b] = [0.5, 0.5, 0.5];
        for (let k = x * most; k < last; k++, from += 3) {
          const weight = weights[k]!;
          r += weight * source[from]!;
          g += weight * source[from + 1]!;
          b += weight * source[from + 2]!;
        }
        data[to++] = clamped(r);
        data[to++] = clamped(g);
        data[to++] = clamped(b);
      } else {
        let sum = 0.5;
        for (let k = x * most; k < last; k++) sum += weights[k]! * source[from++]!;
        data[to++] = clamped(sum);
      }
    }
  }
  return { width, height: end - first, channels, data };
}

/** @param first row of the whole picture that is the first here */
function convolveColumns(picture: Picture, taps: Taps, first: number): Picture {
  const { data: source } = picture;
  const { starts, weights, most } = taps;
  const row = picture.width * picture.channels;
  const height = starts.length;
  const data = new Uint8Array(height * row);
  const sums = new Float64Array(row);
  for (let y = 0; y < height; y++) {
    sums.fill(0.5);
    for (let k = 0; k < most; k++) {
      const weight = weights[y * most + k]!;
      if (weight === 0) continue;
      const from = (starts[y]! - first + k) * row;
      for (let i = 0; i < row; i++) sums[i]! += weight * source[from + i]!;
    }
    for (let i = 0; i < row; i++) data[y * row + i] = clamped(sums[i]!);
  }
  return { ...picture, height, data };
}

/** A sum that began with a half, cut to a byte: rounded, that is. */
const clamped = (x: number): number => (x <= 0 ? 0 : x >= 255 ? 255 : x | 0);
