/** The bytes of constants as the format stores them. */
import type { Node, Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { type Grid, gridOf, integerConstant, isDequantize, sameGrid } from './grid.js';
import { refuse } from './refusal.js';
import type { TensorTypeName } from './schema.js';

/** Reals in float32, or as integers on a grid: those that they were stored as, where they lie on this very grid. */
export function realBytes(
  value: Value,
  real: Float32Array,
  grid: Grid | undefined,
): [TensorTypeName, Uint8Array] {
  if (grid === undefined) return ['float32', bytesOf(real)];
  const { producer } = value;
  const known = isDequantize(producer) ? integerConstant(producer) : undefined;
  const same = isDequantize(producer) && known?.scales.length === 1 && sameGrid(gridOf(producer), grid);
  const shift = known?.tensor.dtype === 'uint8' ? 128 : 0;
  const integers = same ? known?.tensor.toFloat32() : undefined;
  const clamp = (q: number) => Math.max(-128, Math.min(127, q));
  return [
    'int8',
    bytesOf(
      Int8Array.from({ length: real.length }, (_, i) =>
        integers ? integers[i]! - shift : clamp(Math.round(real[i]! / grid.scale) + grid.zeroPoint),
      ),
    ),
  ];
}

/** Integers and bools as they are; int64 as int32, which must hold them. @throws QuantcError E_TFLITE_OP */
export function wholeBytes(tensor: Tensor, node: Node): [TensorTypeName, Uint8Array] {
  if (tensor.dtype === 'int32' || tensor.dtype === 'bool') return [tensor.dtype, tensor.bytes()];
  if (tensor.dtype !== 'int64') refuse(node, `it reads a constant of ${tensor.dtype}`);
  const numbers = tensor.toNumbers();
  if (numbers.some((each) => Math.abs(each) > 2 ** 31 - 1)) refuse(node, 'it reads integers beyond 32 bits');
  return ['int32', bytesOf(Int32Array.from(numbers))];
}

/** The bytes that a typed array views. */
export const bytesOf = (view: ArrayBufferView): Uint8Array =>
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
