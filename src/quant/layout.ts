/** Which scale belongs to which element. */
import { QuantcError } from '../errors/error.js';
import { elementCount } from '../ir/type.js';

/** One scale for the whole tensor, one for each index along the axis, or one for each block along the axis. */
export type Granularity = 'tensor' | 'axis' | { readonly blockSize: number };

/**
 * A tensor of any rank seen as [outer, channels, inner] around the quantization axis; for `tensor` granularity it is
 * [1, 1, count].
 */
export interface Layout {
  readonly outer: number;
  readonly channels: number;
  readonly inner: number;
  /** Channels that share a scale; 0 unless blocked. */
  readonly blockSize: number;
  /** Shape of scale and zero point: [], [channels], or the tensor's with ceil(channels / blockSize) on the axis. */
  readonly parameterShape: readonly number[];
}

/**
 * @throws QuantcError E_QUANT_AXIS when the axis lies outside the shape, E_QUANT_BLOCK when the block size is not a
 * positive whole number.
 */
export function layoutOf(shape: readonly number[], axis: number, granularity: Granularity): Layout {
  if (granularity === 'tensor') {
    return { outer: 1, channels: 1, inner: elementCount(shape), blockSize: 0, parameterShape: [] };
  }
  const at = axis < 0 ? axis + shape.length : axis;
  const channels = shape[at];
  if (channels === undefined || !Number.isInteger(at)) {
    throw new QuantcError('E_QUANT_AXIS', `axis ${axis} lies outside the shape [${shape}]`);
  }
  const outer = elementCount(shape.slice(0, at));
  const inner = elementCount(shape.slice(at + 1));
  if (granularity === 'axis') return { outer, channels, inner, blockSize: 0, parameterShape: [channels] };
  const { blockSize } = granularity;
  if (!(Number.isInteger(blockSize) && blockSize > 0)) {
    throw new QuantcError('E_QUANT_BLOCK', `a block size is a positive whole number, not ${blockSize}`);
  }
  const blocks = Math.ceil(channels / blockSize);
  return {
    outer,
    channels,
    inner,
    blockSize,
    parameterShape: shape.map((dim, i) => (i === at ? blocks : dim)),
  };
}

/**
 * Calls `visit` with every run of consecutive elements, in order: `length` elements from `start` on, of which element
 * k uses parameter `parameter + k * step`. Step is 0 where a run shares one scale and 1 where scales lie side by side.
 */
export function eachRun(
  layout: Layout,
  visit: (start: number, length: number, parameter: number, step: 0 | 1) => void,
): void {
  const { outer, channels, inner, blockSize } = layout;
  if (blockSize === 0) {
    if (inner === 1) {
      for (let o = 0; o < outer; o++) visit(o * channels, channels, 0, 1);
    } else {
      for (let row = 0; row < outer * channels; row++) visit(row * inner, inner, row % channels, 0);
    }
    return;
  }
  const blocks = Math.ceil(channels / blockSize);
  for (let o = 0; o < outer; o++) {
    for (let block = 0; block < blocks; block++) {
      const first = block * blockSize;
      const last = Math.min(first + blockSize, channels);
      const start = (o * channels + first) * inner;
      const parameter = (o * blocks + block) * inner;
      if (inner === 1) visit(start, last - first, parameter, 0);
      else for (let c = first; c < last; c++) visit(start + (c - first) * inner, inner, parameter, 1);
    }
  }
}
