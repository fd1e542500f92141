/** Weights in blocks as DequantizeLinear reads them: integers lie as the weight did, scales and zero points alike. */
import type { DType } from '../ir/dtype.js';
import { Tensor, viewBytes } from '../ir/tensor.js';
import type { WeightBits } from './block-fit.js';
import { type BlockOptions, blockQuantizedWeight } from './block-weight.js';
import { pack } from './pack.js';

export interface DequantizedWeight {
  /** `int` or `uint` of the bits, the weight's shape. */
  readonly q: Tensor;
  /** The weight's dtype and shape, but as many along the axis as there are blocks. */
  readonly scale: Tensor;
  /** As `q` and shaped like the scales; absent where symmetric: then q − 2^(bits−1) is what stands there. */
  readonly zeroPoint: Tensor | undefined;
}

/**
 * The very integers, scales and zero points of {@link blockQuantizedWeight}, laid out along the weight. Lazy, and
 * quantized by the same kernels: only bytes change places here.
 * @throws QuantcError as {@link blockQuantizedWeight}
 */
export function dequantizedBlocks(weight: Tensor, options: BlockOptions): DequantizedWeight {
  const { bits, blockSize, axis, symmetric } = options;
  const parts = blockQuantizedWeight(weight, options);
  const inner = weight.shape[axis]!;
  const columns = weight.shape[1 - axis]!;
  const blocks = Math.ceil(inner / blockSize);
  const dtype = `${symmetric ? '' : 'u'}int${bits}` as DType;
  const laid = (count: number): number[] => (axis === 0 ? [count, columns] : [columns, count]);
  const turned = <T extends Lanes>(values: T, count: number, stride: number): T =>
    axis === 0 ? transposed(values, columns, count, stride) : cut(values, columns, count, stride);
  const shift = symmetric ? 2 ** (bits - 1) : 0;
  const integers = (packed: Tensor, count: number): Uint8Array => {
    const bytes = packed.bytes();
    const stride = (bytes.length / columns) * (8 / bits);
    const values = turned(unsigned(bytes, bits), count, stride);
    if (shift > 0) for (let i = 0; i < values.length; i++) values[i]! -= shift;
    return bits === 8 ? values : pack(values, bits);
  };
  return {
    q: Tensor.derive(dtype, laid(inner), [parts.q], ([q]) => integers(q!, inner)),
    scale: Tensor.derive(weight.dtype, laid(blocks), [parts.scale], ([scale]) => {
      const bytes = scale!.bytes();
      const lanes = weight.dtype === 'float16' ? asLanes(bytes, Uint16Array) : asLanes(bytes, Uint32Array);
      return viewBytes(turned(lanes, blocks, blocks));
    }),
    zeroPoint:
      parts.zeroPoint &&
      Tensor.derive(dtype, laid(blocks), [parts.zeroPoint], ([zero]) => integers(zero!, blocks)),
  };
}

type Lanes = Uint8Array | Uint16Array | Uint32Array;

/** Bits alone are moved, so that no NaN changes. */
function asLanes<T extends Uint16Array | Uint32Array>(
  bytes: Uint8Array,
  lanes: { new (buffer: ArrayBuffer): T; readonly BYTES_PER_ELEMENT: number },
): T {
  return new lanes(bytes.slice().buffer as ArrayBuffer);
}

/** One byte an element, low bits first. */
function unsigned(bytes: Uint8Array, bits: WeightBits): Uint8Array {
  if (bits === 8) return bytes.slice();
  const perByte = 8 / bits;
  const mask = 2 ** bits - 1;
  const values = new Uint8Array(bytes.length * perByte);
  for (let i = 0; i < values.length; i++)
    values[i] = (bytes[Math.floor(i / perByte)]! >> ((i % perByte) * bits)) & mask;
  return values;
}

/** [rows, stride] → the first `count` of each row, one row an element of the last axis: [count, rows]. */
function transposed<T extends Lanes>(values: T, rows: number, count: number, stride: number): T {
  const result = new (values.constructor as new (length: number) => T)(rows * count);
  for (let row = 0; row < rows; row++)
    for (let i = 0; i < count; i++) result[i * rows + row] = values[row * stride + i]!;
  return result;
}

/** [rows, stride] → [rows, count] */
function cut<T extends Lanes>(values: T, rows: number, count: number, stride: number): T {
  const result = new (values.constructor as new (length: number) => T)(rows * count);
  for (let row = 0; row < rows; row++)
    result.set(values.subarray(row * stride, row * stride + count), row * count);
  return result;
}
