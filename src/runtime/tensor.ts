/** Tensors across the border: the IR's to ONNX Runtime's and back, without copying where alignment allows. */
import type { Tensor as RuntimeTensor } from 'onnxruntime-web';
import { QuantcError } from '../errors/error.js';
import type { DType } from '../ir/dtype.js';
import { Tensor } from '../ir/tensor.js';
import type { Dim, Type } from '../ir/type.js';
import type { Runtime } from './face.js';

/** Our dtype names that ONNX Runtime's JavaScript spells differently; the others it takes are spelled alike. */
const RUNTIME_NAMES: Partial<Record<DType, string>> = { float: 'float32', double: 'float64' };
const OUR_NAMES: Readonly<Record<string, DType>> = { float32: 'float', float64: 'double' };

/** The dtypes that can cross as inputs and outputs; the others (sub-byte, bfloat16, 8-bit floats) live inside graphs only. */
const CROSSING: ReadonlySet<DType> = new Set<DType>([
  ...(['float', 'double', 'float16', 'string', 'bool'] as const),
  ...(['int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32', 'int64', 'uint64'] as const),
]);

/** True when ONNX Runtime's JavaScript can take and give tensors of this dtype. */
export const canCross = (dtype: DType): boolean => CROSSING.has(dtype);

/** @throws QuantcError E_RUNTIME_DTYPE when ONNX Runtime's JavaScript has no such tensor. */
export function toRuntime(runtime: Runtime, name: string, tensor: Tensor): RuntimeTensor {
  if (!canCross(tensor.dtype)) {
    throw new QuantcError('E_RUNTIME_DTYPE', `ONNX Runtime takes no ${tensor.dtype} tensors as inputs here`, {
      place: { value: name },
    });
  }
  if (tensor.source.kind === 'strings') {
    const decoder = new TextDecoder();
    const values = tensor.source.values.map((bytes) => decoder.decode(bytes));
    return new runtime.Tensor('string', values, [...tensor.shape]);
  }
  const type = RUNTIME_NAMES[tensor.dtype] ?? tensor.dtype;
  // One constructor signature a dtype; the table above says that the pair fits.
  const make = runtime.Tensor as unknown as new (
    type: string,
    data: ArrayBufferView,
    dims: readonly number[],
  ) => RuntimeTensor;
  return new make(type, tensor.data(), [...tensor.shape]);
}

/** The IR's view of a result; shares its memory. */
export function fromRuntime(name: string, tensor: RuntimeTensor): Tensor {
  if (tensor.type === 'string') {
    const encoder = new TextEncoder();
    const values = (tensor.data as string[]).map((text) => encoder.encode(text));
    return new Tensor('string', tensor.dims, { kind: 'strings', values }, { name });
  }
  return Tensor.of(dtypeOfRuntime(tensor.type), tensor.dims, tensor.data as ArrayBufferView, { name });
}

const dtypeOfRuntime = (type: string): DType => OUR_NAMES[type] ?? (type as DType);

/** What a session says of one input or output. Types of sequences and maps are not told: `undefined`. */
export function typeOfMetadata(
  metadata:
    | { readonly isTensor: false }
    | { readonly isTensor: true; readonly type: string; readonly shape: readonly (number | string)[] },
): Type | undefined {
  if (!metadata.isTensor) return undefined;
  const shape: Dim[] = metadata.shape.map((dim) => (dim === '' ? null : dim));
  return { kind: 'tensor', dtype: dtypeOfRuntime(metadata.type), shape };
}
