/** What ONNX Runtime's JavaScript calls element types, and the arrays that hold them (onnxruntime-common 1.30, `Tensor`). */
import { QuantcError } from '../errors/error.js';
import type { DType } from '../ir/dtype.js';

const TYPES: Readonly<Partial<Record<DType, readonly [type: string, array: string]>>> = {
  float: ['float32', 'Float32Array'],
  double: ['float64', 'Float64Array'],
  // Its bits: engines have no array for it yet, or have not had it for long.
  float16: ['float16', 'Uint16Array'],
  int8: ['int8', 'Int8Array'],
  uint8: ['uint8', 'Uint8Array'],
  int16: ['int16', 'Int16Array'],
  uint16: ['uint16', 'Uint16Array'],
  int32: ['int32', 'Int32Array'],
  uint32: ['uint32', 'Uint32Array'],
  int64: ['int64', 'BigInt64Array'],
  uint64: ['uint64', 'BigUint64Array'],
  bool: ['bool', 'Uint8Array'],
  string: ['string', 'readonly string[]'],
};

/** Type and array of a dtype. @throws QuantcError E_BINDINGS_TYPE where JavaScript has none */
export function elementType(dtype: DType, port: string): readonly [type: string, array: string] {
  const found = TYPES[dtype];
  if (found !== undefined) return found;
  throw new QuantcError('E_BINDINGS_TYPE', `ONNX Runtime passes no ${dtype} to or from JavaScript`, {
    kind: 'input',
    place: { value: port },
    hint: 'Export the model with another type there, and a Cast behind it; or build without bindings.',
  });
}

/** Integers whose quantization can be told. */
export const QUANTIZED: readonly DType[] = ['uint8', 'int8', 'uint16', 'int16'];
