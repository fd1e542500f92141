/** Weights quantized in blocks along their inner dimension, packed as com.microsoft's operators read them. */
import { Float16Array } from '@petamoriken/float16';
import { QuantcError } from '../errors/error.js';
import { Tensor, type TensorJob } from '../ir/tensor.js';
import {
  type BlockFit,
  type BlockGrid,
  quantizeBlock,
  type WeightBits,
  type WeightMethod,
} from './block-fit.js';

export interface BlockOptions {
  readonly bits: WeightBits;
  /** Elements along the inner dimension that share a scale: a power of 2 from 16 to 256. */
  readonly blockSize: number;
  /** Which of the two dimensions is the inner one, over which the product sums: 0 for [K, N], 1 for [N, K]. */
  readonly axis: 0 | 1;
  readonly symmetric: boolean;
  readonly method: WeightMethod;
}

/** One quantization of a weight, whichever of its results is asked for. Plain data. */
export interface BlockSpec extends BlockGrid {
  readonly bits: WeightBits;
  readonly shape: readonly [number, number];
  readonly axis: 0 | 1;
  readonly blockSize: number;
}

/** Sizes of what a spec gives, in bytes where it says so. */
export interface BlockLayout {
  /** Elements over which a product sums. */
  readonly inner: number;
  /** Columns of the product, each with blocks of its own. */
  readonly columns: number;
  readonly blocks: number;
  /** Packed bytes of a block, of a column, and of a column's zero points. */
  readonly blockBytes: number;
  readonly columnBytes: number;
  readonly zeroBytes: number;
}

/** A weight as MatMulNBits and GatherBlockQuantized read it. */
export interface BlockQuantizedWeight {
  /** uint8 [columns, blocks, blockSize · bits / 8]: low bits first, the last block filled up with the zero point. */
  readonly q: Tensor;
  /** The weight's dtype, [columns, blocks]. */
  readonly scale: Tensor;
  /** uint8 [columns, ceil(blocks · bits / 8)], packed alike; absent where symmetric. */
  readonly zeroPoint: Tensor | undefined;
}

/** The name of the job that the derived tensors carry. */
export const QUANTIZE_BLOCKS = 'quantize-blocks';

export type BlockOutput = 'q' | 'scale' | 'zeroPoint';

/** Parameters of that job. `spec` is one object for all results of a weight. */
export interface BlockJobParameters {
  readonly output: BlockOutput;
  readonly spec: BlockSpec;
}

/** Bytes of all results of a weight. */
export interface BlockBytes {
  readonly q: Uint8Array;
  readonly scale: Uint8Array;
  readonly zeroPoint: Uint8Array;
}

/** The parameters of a block job, or undefined for any other. */
export function blockJob(job: TensorJob | undefined): BlockJobParameters | undefined {
  return job?.kernel === QUANTIZE_BLOCKS ? (job.parameters as unknown as BlockJobParameters) : undefined;
}

export function blockLayoutOf({
  shape,
  axis,
  bits,
  blockSize,
}: Omit<BlockSpec, keyof BlockGrid> & { bits: number }): BlockLayout {
  const inner = shape[axis]!;
  const blocks = Math.ceil(inner / blockSize);
  const blockBytes = (blockSize * bits) / 8;
  return {
    inner,
    columns: shape[1 - axis]!,
    blocks,
    blockBytes,
    columnBytes: blocks * blockBytes,
    zeroBytes: Math.ceil((blocks * bits) / 8),
  };
}

/**
 * Quantizes a weight in blocks, lazily: nothing is read now, and the layout is a part of the packing, so that nothing
 * is ever transposed for its own sake.
 * @param weight float or float16, two dimensions
 * @throws QuantcError E_QUANT_DTYPE for other dtypes, E_QUANT_AXIS for another rank, E_QUANT_BLOCK for a block size that
 * is no power of 2 from 16 to 256.
 */
export function blockQuantizedWeight(weight: Tensor, options: BlockOptions): BlockQuantizedWeight {
  const { bits, blockSize, axis, symmetric, method } = options;
  if (weight.dtype !== 'float' && weight.dtype !== 'float16') {
    throw new QuantcError('E_QUANT_DTYPE', `weights in blocks are float or float16, not ${weight.dtype}`, {
      place: { value: weight.name },
    });
  }
  if (weight.shape.length !== 2) {
    throw new QuantcError('E_QUANT_AXIS', `a weight in blocks has two dimensions, not [${weight.shape}]`, {
      place: { value: weight.name },
    });
  }
  if (![16, 32, 64, 128, 256].includes(blockSize)) {
    throw new QuantcError('E_QUANT_BLOCK', `a block size is a power of 2 from 16 to 256, not ${blockSize}`, {
      kind: 'usage',
    });
  }
  const shape = weight.shape as readonly [number, number];
  const spec: BlockSpec = {
    shape,
    axis,
    bits,
    blockSize,
    symmetric,
    method,
    half: weight.dtype === 'float16',
  };
  const { columns, blocks, blockBytes, zeroBytes } = blockLayoutOf(spec);
  const part = (
    dtype: 'uint8' | 'float' | 'float16',
    size: readonly number[],
    output: BlockOutput,
    suffix: string,
  ) =>
    Tensor.derive(dtype, size, [weight], ([source]) => blockBytesOf(source!, spec)[output], {
      name: `${weight.name}_${suffix}`,
      job: { kernel: QUANTIZE_BLOCKS, parameters: { output, spec } },
    });
  return {
    q: part('uint8', [columns, blocks, blockBytes], 'q', `q${bits}`),
    scale: part(weight.dtype, [columns, blocks], 'scale', 'scale'),
    zeroPoint: symmetric ? undefined : part('uint8', [columns, zeroBytes], 'zeroPoint', 'zero_point'),
  };
}

/** The last weight that was quantized here: its results are asked for one after the other. */
let last: { readonly spec: BlockSpec; readonly source: Tensor; readonly bytes: BlockBytes } | undefined;

function blockBytesOf(source: Tensor, spec: BlockSpec): BlockBytes {
  if (last?.spec !== spec || last.source !== source) {
    last = { spec, source, bytes: quantizeBlocks(source.toFloat32(), spec) };
  }
  return last.bytes;
}

/** The reference computation: every result of a weight from its float32 values. */
export function quantizeBlocks(values: Float32Array, spec: BlockSpec): BlockBytes {
  const { axis, blockSize } = spec;
  const { inner, columns, blocks } = blockLayoutOf(spec);
  const packer = new BlockPacker(spec);
  const block = new Float32Array(blockSize);
  const integers = new Uint8Array(blockSize);
  for (let column = 0; column < columns; column++) {
    for (let b = 0; b < blocks; b++) {
      const first = b * blockSize;
      const x = block.subarray(0, Math.min(blockSize, inner - first));
      for (let k = 0; k < x.length; k++) {
        x[k] = values[axis === 0 ? (first + k) * columns + column : column * inner + first + k]!;
      }
      packer.put(column, b, quantizeBlock(x, spec, integers), integers);
    }
  }
  return packer.bytes;
}

/** Puts blocks where they belong. */
export class BlockPacker {
  readonly #spec: BlockSpec;
  readonly #layout: BlockLayout;
  readonly #q: Uint8Array;
  readonly #scale: Float32Array | Float16Array;
  readonly #zeroPoint: Uint8Array;

  constructor(spec: BlockSpec) {
    this.#spec = spec;
    this.#layout = blockLayoutOf(spec);
    const { columns, blocks, columnBytes, zeroBytes } = this.#layout;
    this.#q = new Uint8Array(columns * columnBytes);
    this.#scale = spec.half ? new Float16Array(columns * blocks) : new Float32Array(columns * blocks);
    this.#zeroPoint = new Uint8Array(columns * zeroBytes).fill(zeroFiller(spec.bits));
  }

  /** @param integers of the block, the first of each call's array; those behind the weight's end are filled up here */
  put(column: number, block: number, { scale, zeroPoint }: BlockFit, integers: Uint8Array): void {
    const { bits, blockSize } = this.#spec;
    const { inner, blocks, blockBytes, columnBytes, zeroBytes } = this.#layout;
    const perByte = 8 / bits;
    this.#scale[column * blocks + block] = scale;
    const there = Math.min(blockSize, inner - block * blockSize);
    const at = column * columnBytes + block * blockBytes;
    for (let k = 0; k < blockSize; k++) {
      const integer = k < there ? integers[k]! : zeroPoint;
      this.#q[at + Math.floor(k / perByte)]! |= integer << ((k % perByte) * bits);
    }
    const zero = column * zeroBytes + Math.floor(block / perByte);
    const shift = (block % perByte) * bits;
    const others = this.#zeroPoint[zero]! & ~((2 ** bits - 1) << shift);
    this.#zeroPoint[zero] = others | (zeroPoint << shift);
  }

  get bytes(): BlockBytes {
    return { q: this.#q, scale: new Uint8Array(this.#scale.buffer), zeroPoint: this.#zeroPoint };
  }
}

/** A byte of middle zero points: what stands behind the last block's where a column's number is odd. */
export const zeroFiller = (bits: WeightBits): number => (bits === 8 ? 0x80 : bits === 4 ? 0x88 : 0xaa);
