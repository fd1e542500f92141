/** What a weight becomes when it is quantized in blocks and read back, at any bits and in blocks of any size. */
import { type BlockFit, quantizeBlock } from './block-fit.js';
import { blockLayoutOf } from './block-weight.js';
import type { Metric } from './nearest-plane.js';
import { type PutBlock, type RoundSpec, roundInto } from './round-blocks.js';

/**
 * @param values the weight, laid out as the spec says; a block size of the inner dimension or more is one scale a column
 * @param metrics rounds the weights together, see `roundBlocks`; each by itself without
 * @returns x′ = (q − z) · s of each element, in the layout of `values`
 */
export function simulatedWeight(
  values: Float32Array,
  spec: RoundSpec,
  metrics?: readonly Metric[],
): Float32Array<ArrayBuffer> {
  const { axis, blockSize } = spec;
  const { inner, columns, blocks } = blockLayoutOf(spec);
  const result = new Float32Array(values.length);
  const place = (column: number, k: number): number =>
    axis === 0 ? k * columns + column : column * inner + k;
  const put: PutBlock = (column, block, { scale, zeroPoint }: BlockFit, integers) => {
    const first = block * blockSize;
    const count = Math.min(blockSize, inner - first);
    for (let k = 0; k < count; k++)
      result[place(column, first + k)] = Math.fround((integers[k]! - zeroPoint) * scale);
  };
  if (metrics !== undefined) {
    roundInto(values, spec, metrics, put);
    return result;
  }
  const x = new Float32Array(Math.min(blockSize, inner));
  const integers = new Uint8Array(x.length);
  for (let column = 0; column < columns; column++) {
    for (let block = 0; block < blocks; block++) {
      const first = block * blockSize;
      const own = x.subarray(0, Math.min(blockSize, inner - first));
      for (let k = 0; k < own.length; k++) own[k] = values[place(column, first + k)]!;
      put(column, block, quantizeBlock(own, spec, integers), integers);
    }
  }
  return result;
}

/**
 * Bytes that such a weight takes: integers, scales of float32, and zero points of as many bits as the integers. What
 * fills up a column's last block is not counted where a block is the whole column.
 */
export function simulatedBytes({ shape, axis, bits, blockSize, symmetric }: RoundSpec): number {
  const inner = shape[axis]!;
  const columns = shape[1 - axis]!;
  const blocks = Math.ceil(inner / blockSize);
  const width = blockSize >= inner ? inner : blocks * blockSize;
  return (
    columns * (Math.ceil((width * bits) / 8) + 4 * blocks + (symmetric ? 0 : Math.ceil((blocks * bits) / 8)))
  );
}
