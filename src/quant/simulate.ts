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
  const { inner, columns, blocks } = blockLayoutOf(spec);
  const widened = new Widened(spec);
  const put: PutBlock = (...block) => widened.put(...block);
  if (metrics !== undefined) {
    roundInto(values, spec, metrics, put);
    return widened.values;
  }
  const x = new Float32Array(Math.min(spec.blockSize, inner));
  const integers = new Uint8Array(x.length);
  for (let column = 0; column < columns; column++) {
    for (let block = 0; block < blocks; block++) {
      const first = block * spec.blockSize;
      const own = x.subarray(0, Math.min(spec.blockSize, inner - first));
      for (let k = 0; k < own.length; k++) own[k] = values[widened.place(column, first + k)]!;
      put(column, block, quantizeBlock(own, spec, integers), integers);
    }
  }
  return widened.values;
}

/** Puts blocks where they belong, read back. */
export class Widened {
  /** In the layout of the weight. */
  readonly values: Float32Array<ArrayBuffer>;
  readonly #spec: RoundSpec;

  constructor(spec: RoundSpec) {
    this.#spec = spec;
    this.values = new Float32Array(spec.shape[0] * spec.shape[1]);
  }

  /** Where the element of a column lies that is multiplied with input `k`. */
  place(column: number, k: number): number {
    const { shape, axis } = this.#spec;
    return axis === 0 ? k * shape[1] + column : column * shape[1] + k;
  }

  put(column: number, block: number, { scale, zeroPoint }: BlockFit, integers: Uint8Array): void {
    const { shape, axis, blockSize } = this.#spec;
    const first = block * blockSize;
    const count = Math.min(blockSize, shape[axis]! - first);
    for (let k = 0; k < count; k++)
      this.values[this.place(column, first + k)] = Math.fround((integers[k]! - zeroPoint) * scale);
  }
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
