/** Encoding models and tensors into memory. */
import { QuantcError } from '../errors/error.js';
import type { Model } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import type { EncodeContext } from './graph-proto.js';
import { encodeModelProto } from './model-proto.js';
import { MAX_MODEL_BYTES } from './read.js';
import { encodeTensorProto, type LocateTensor } from './tensor-proto.js';
import { type Segment, writeMessage } from './wire-write.js';

export interface EncodeOptions {
  /** Which tensors stand in another file, and where. Writing that file is the caller's affair. Default: none. */
  readonly external?: LocateTensor;
  /**
   * `value_info` of inner values: every type that is known (`all`, the default), or only for the values that the file
   * declared when it was read (`declared`), or none: executors infer them again (`none`).
   */
  readonly valueInfo?: 'all' | 'declared' | 'none';
}

/**
 * The model as ONNX protobuf, whole in memory. What nobody changed since it was read is written as it was, unknown
 * fields included; fields stand in the order of their numbers. Equal models give equal bytes.
 * @throws QuantcError E_ONNX_TOO_LARGE from 2 GiB on; errors of tensors whose bytes cannot be had.
 */
export function encodeModel(model: Model, options: EncodeOptions = {}): Uint8Array {
  return join(segmentsOfModel(model, options));
}

/** A serialized TensorProto. */
export function encodeTensor(tensor: Tensor): Uint8Array {
  return join(writeMessage('TensorProto', encodeTensorProto(tensor, tensor.name)));
}

/** The model's bytes as segments, its tensors' bytes not asked for yet. @throws QuantcError E_ONNX_TOO_LARGE */
export function segmentsOfModel(
  model: Model,
  options: EncodeOptions,
): { segments: Segment[]; length: number } {
  const context: EncodeContext = { locate: options.external, valueInfo: options.valueInfo ?? 'all' };
  const written = writeMessage('ModelProto', encodeModelProto(model, context));
  if (written.length > MAX_MODEL_BYTES) {
    throw new QuantcError(
      'E_ONNX_TOO_LARGE',
      `the model takes ${written.length} bytes: protobuf ends below 2 GiB`,
      {
        place: { file: model.file },
        hint: 'Write it with external data.',
      },
    );
  }
  return written;
}

function join({ segments, length }: { segments: Segment[]; length: number }): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const segment of segments) {
    const bytes = segment instanceof Uint8Array ? segment : segment.bytes();
    whole.set(bytes, at);
    at += bytes.byteLength;
  }
  return whole;
}
